"""Word lists to tell numbers and names apart: common English words, money, units, months; written for this package."""


def listed(words: str) -> frozenset[str]:
    """Return the words of a list that are separated by white space."""
    return frozenset(words.split())


STOP = listed(
    """
    a about above account accounts actually after again against ago all almost already also although always am
    an and another any anybody anyone anything anyway apparently are aren't around as ask asked asking at away
    back bad be because been before being below best better between big both bought but buy by call called
    calling came can can't cannot cant card cards change changed check come coming contact correct could
    couldn't customer date day days details did didn't didnt different directly do does doesn't doesnt doing
    don't done dont down due during each easily either else email enough even ever every everything exactly
    expired fine first for forgot forgotten found from full gave get gets getting give given go goes going gone
    good got great had happen happened happy has hasn't have haven't having he hello help her here hers hey hi
    him his hold home hope how however i i'd i'll i'm i've id if ill im in incorrect instead into invalid is
    isn't isnt it it's its ive just keep keeps kind kindly know last late later least leave left less let let's
    like listed little locked long look looking lost lot made make making many may maybe me mean might mine
    minute misspelled moment more morning most much must my name named names need needed needs never new next
    nice night no nobody none nor not nothing now number numbers of off ok okay old on once one only open or
    order other others our ours out over own paid password past pay payment people phone please possible problem
    put quite rather ready really reason received recent recently registered regarding registration regards
    reset right said same saw say says secret see seem seems send sent set several she should shouldn't show
    shown similar since sir so some somebody someone something soon sorry spelled spell spelt still stop stuff
    such sure take taken talk tell than thank thanks that that's thats the their them then there there's these
    they they're thing things think this those though through time to today together told tomorrow tonight too
    took tried true try trying two type under until unknown up updated upon us use used using valid very via
    wait waiting want wanted wants was wasn't way we we're week well went were weren't what what's when where
    whether which while who whole why will wish with within without won't work working worked works would
    wouldn't wrong year years yep yes yesterday yet you you'd you'll you're your yours afternoon evening madam
    maam ma'am dear buddy currently basically probably usually ssn pin address zip code policy claim booking
    confirmation welcome bye goodbye book booked cancel flight hotel trip ticket tickets required available
    unable able
    """
)

FILLERS = listed(
    """
    is are was it its it's the a my no nr number numbers num id of and = : # - . , code be
    """
)

MONTHS = listed(
    """
    january february march april may june july august september october november december jan feb mar apr jun
    jul aug sep sept oct nov dec
    """
)

# A number next to one of these is an amount, a size, a version, a calculation or a time, and not personal.
COUNTED = MONTHS | listed(
    """
    $ € £ ¥ ₹ % + * = dollar dollars usd eur euro euros gbp pound pounds quid pence cent cents yen yuan rupee
    rupees inr rs peso pesos real reais ruble rubles franc francs krona crowns lira won bitcoin btc cad aud chf
    sek nok dkk amount amounts total sum price prices priced cost costs costing paid pay pays worth budget
    balance charge charged charges fee fees bill bills spent spend spending expense expenses expences refund
    refunded discount credits debit debited transfer transfered transferred withdraw withdrew withdrawn deposit
    deposited salary income limit rent tip mile miles km kilometers kilometres meters metres feet foot ft inch
    inches cm mm kg kilo kilos lb lbs pound ounce ounces oz grams gram litre litres liter liters gallon gallons
    gb mb tb kb mbps gbps gig gigs hz mhz ghz cal cals calories calorie degrees degree celsius fahrenheit
    percent points point miles rewards steps watts volts hp cc hour hours hrs hr minute minutes min mins second
    seconds sec am pm o'clock noon year years month months week weeks day days time date dated times square root
    plus minus divided multiplied multiply divide subtract add equals item items piece pieces pcs qty quantity
    units copies people persons passengers guests seats rooms bedrooms bedroom version update build model
    release windows android ios year's yr yrs made flight flights train bus gate seat room level floor level
    page chapter section step line row size order orders invoice tracking sku serial part product ticket case
    ref reference incident bug issue report error code http port
    """
)
MONEY_SIGNS = listed("$ € £ ¥ ₹")
DIGITS = {
    "zero",
    "oh",
    "o",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "nought",
    "double",
    "triple",
}
