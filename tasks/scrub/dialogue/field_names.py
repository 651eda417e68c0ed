"""The names by which agents and forms ask for values."""

import re

_PEOPLE = (
    r"(?:host|guest|person|patient|passenger|travell?er|account ?holder|card ?holder|policy ?holder|customer|member"
    r"|client"
    r"|doctor|driver|child|son|daughter|husband|wife|spouse|partner|recipient|owner|user|beneficiary|caller|contact"
    r"|tenant|employee|manager|friend|colleague|party|father|buyer|organi[sz]er)s?"
)
_PET = r"(?:pet|dog|cat|goldfish|hamster|animal|school|teacher|street|best friend|car|boss|crush|kindergarten|mascot)"
_NUMBER = (
    r"(?:'?s)? ?(?:reference |confirmation |identification )?"
    r"(?:number|numbers|no\b|num\b|nr\b|#|ids?\b|code|reference|ref\b|details)"
)
# Kind -> its names, in the order in which they are tried at each position.
_FIELDS = {
    "SECURITY_ANSWER": rf"maiden(?: name)?|(?:secret|security|verification|memorable|challenge) (?:question|answer"
    rf"|word|phrase)s?(?: (?:answer|\d))?"
    rf"|answers? to (?:your|the|my|this|that) [^.?!\n]{{0,25}}?questions?"
    rf"|name of (?:the |your |a )(?:\w+ ){{0,2}}?{_PET}|(?:first|childhood|oldest) (?:\w+ )?{_PET}|pet(?:'?s)? name"
    rf"|(?:city|town|place|hospital)[^.?!\n]{{0,20}} (?:born|birth)|where (?:were you|you were) born"
    rf"|(?:school|street)[^.?!\n]{{0,20}} (?:attend|go to|grow|grew|live)\w*|father'?s? middle name|mother'?s? name",
    "FAVOURITE": r"favou?rite (?:\w+ )?\w+",
    "USERNAME": r"user[ -]?names?|user ?id|log[ -]?in(?: ?id| name)?|screen ?name|account name",
    "EMAIL_ADDRESS": r"e-?mail(?:s|(?: address| id)(?:es)?)?",
    "DATE_OF_BIRTH": r"date of (?:your )?birth|d\.?o\.?b\b|birth ?dat[ea]|birth ?day|when (?:were you"
    r"|you were) born|year (?:of birth|you were born)",
    "US_SSN": rf"ssn|social security(?:{_NUMBER})?|social{_NUMBER}|itin|national insurance(?:{_NUMBER})?|tax{_NUMBER}",
    "US_PASSPORT": rf"passport(?:{_NUMBER})?",
    "US_DRIVER_LICENSE": rf"(?:driv\w+'?s? )?licen[cs]e{_NUMBER}|driv\w+'?s? licen[cs]e",
    "LICENSE_PLATE": rf"(?:licen[cs]e|number|registration|vehicle) ?plates?(?:{_NUMBER})?|registration{_NUMBER}"
    rf"|reg{_NUMBER}|vin{_NUMBER}",
    "PIN": r"p\.?i\.?n\b(?: ?(?:number|code|no\b|#))?|pass ?code|(?:security|access|verification|one[ -]time|cvv"
    r"|cvc) code|cvv2?|cvc|otp",
    "PASSWORD": r"pass ?words?|pass ?phrase|pwd",
    "LAST_DIGITS": r"last (?:four|4|five|5|six|6|three|3)(?: digits| numbers)?",
    "CARD_EXPIRY": r"expir\w+(?: date)?|valid (?:until|thru|through)",
    "CREDIT_CARD": rf"(?:credit|debit|bank|payment|visa|master) ?card(?:{_NUMBER})?|card{_NUMBER}|card on file"
    rf"|(?:16|sixteen) digits?",
    "PHONE_NUMBER": r"(?:(?:tele)?phone|mobile|cell(?:phone)?|contact|call[ -]?back|daytime|best"
    r"|good)(?: phone)? (?:number|no\b|#)s?|telephone"
    r"|number (?:to|we can|i can|where)[^.?!\n]{0,20} (?:reach|call|contact)|(?:your|a) (?:phone|mobile|cell)\b",
    "POLICY_NUMBER": rf"(?:policy|insurance|coverage){_NUMBER}",
    "CLAIM_NUMBER": rf"claims?{_NUMBER}",
    "BOOKING_NUMBER": rf"(?:booking|reservation|confirmation|ride|ticket|itinerary|record){_NUMBER}|record locator|pnr",
    "ORDER_NUMBER": rf"(?:order|purchase|invoice|receipt|transaction|tracking|shipment|parcel|delivery|return"
    rf"|rma){_NUMBER}",
    "REFERENCE_NUMBER": rf"(?:reference|ref|case|incident|request|complaint|serial|device|quote|repair){_NUMBER}",
    "ACCOUNT_NUMBER": rf"(?:account|accounts|acct|acc|a/c|iban|customer|client|member|membership|loyalty|rewards"
    rf"|flyer|subscriber|employee|patient"
    rf"|student){_NUMBER}|iban|sort code|routing number",
    "ZIP_CODE": r"zip(?: ?code)?|post(?:al)? ?code",
    "ADDRESS": r"(?:(?:street|home|mailing|billing|shipping|delivery|postal|full|current) )?(?<!ip )address"
    r"|where do you live",
    "PERSON": rf"(?:full|first|last|middle|given|family|legal|complete|nick|{_PEOPLE}(?:['’]s?)?) ?names?|surnames?"
    rf"|(?:your|ur|his|her|their|whose) (?:own |good )?names?(?! of)|names? (?:of (?:the|your|an?|each"
    rf"|all) (?:\w+ )?{_PEOPLE}"
    rf"|on (?:the|your)|under|is (?:it|the|this|that)|(?:should|would|do|will) (?:i|you|we|it))"
    r"|who am i (?:speaking|chatting|talking)|(?:whom|who) (?:do i have|i am|i'm|am i) [^.?!\n]{0,20}(?:pleasure"
    r"|with|to)"
    r"|whom? (?:would|do|did) you (?:(?:like|want|prefer) (?:to )?)?(?:meet|schedule|see|speak|talk)|(?:what"
    r"|which) doctor|who is your doctor"
    rf"|who(?:'s| is) (?:calling|this|the (?:\w+ )?{_PEOPLE})"
    r"|(?:(?<=^)|(?<=[,:.&] )|(?<=\band )|(?<=\bthe )|(?<=\ba )|(?<=\bneed )|(?<=\bor ))names?(?=\W*$|[,?.]| please"
    r"| and| so| as| to| for)",
}
FIELD = re.compile(
    r"(?<![\w-])(?:" + "|".join(f"(?P<{kind}>{names})" for kind, names in _FIELDS.items()) + r")(?!\w)", re.IGNORECASE
)
# Every name of a field contains one of these.
_WORDS_TEXT = """
    # address animal answer answers attend b birth birthdat birthdate birthday boss born call callback car card cards
    cat cell cellphone code codes contact crush cvc cvv cvv2 daytime details digit digits dob doctor dog email emails
    expiration expire expired expires expiry favorite favourite friend goldfish grew grow hamster iban id ids
    insurance itin kindergarten licence license live lived locator log login maiden mail mails mascot mobile n name
    names nickname nmae nr num number numbers otp passcode passphrase passport password passwords pet phone pin plate
    plates pnr post postal postcode pwd reach ref reference registration routing school social sort ssn street surname
    surnames tax teacher telephone question questions secret word phrase user userid username usernames valid vin who
    whom zip zipcode
"""
WORDS = frozenset(_WORDS_TEXT.split())
# "no" is too common a word to search for, so one of these must occur in the sentence: "account no".
_NUMBERED_WORDS = """
    acc account acct booking card case claim client customer invoice member order phone policy reference reservation
    ticket tracking
"""
NUMBERED = frozenset(_NUMBERED_WORDS.split())
