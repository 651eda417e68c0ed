"""The sentences that planted values appear in: statements of customers, and questions of agents with answers.

They exist for the measurement only. Do not tune the detector on them, or the measurement becomes meaningless.
"""

# type -> sentences that are added to a customer's turn
SAID: dict[str, tuple[str, ...]] = {
    "ACCOUNT_NUMBER": (
        "You will find me under account number {}.",
        "It was taken from account {} on the same day.",
        "For reference, the account number on the letter is {}.",
        "My acct no. is {}, in case that helps.",
    ),
    "ADDRESS": (
        "Please send the replacement to {} instead.",
        "We have moved, the new address is {}.",
        "I have been living at {} since last spring.",
        "The parcel should have gone to {} and it never did.",
        "Could the technician come round to {}, please?",
    ),
    "AGE": (
        "I am {} years old and not good with computers.",
        "My father is {}, so he needs this to be simple.",
        "She turned {} last week, does the discount still apply?",
        "It is for a {} year old, if that matters.",
    ),
    "CREDIT_CARD": (
        "The payment was made with {}.",
        "You charged my card {} twice.",
        "Please put it on {} as always.",
        "I tried again with the other card, {}, and it was declined.",
    ),
    "DATE_OF_BIRTH": (
        "I was born on {}.",
        "My date of birth is {}, as on the form.",
        "To prove it is me: born {}.",
        "The birthday in your records is wrong, it should be {}.",
    ),
    "EMAIL_ADDRESS": (
        "Write to me at {} when it is done.",
        "I have never had a confirmation at {}.",
        "My login is still the old address, {}, I think.",
        "Please take {} off your mailing list.",
    ),
    "IBAN_CODE": (
        "The refund can go to {}.",
        "My IBAN is {}.",
        "Money has left {} and nothing has arrived.",
        "Please debit {} from now on.",
    ),
    "IP_ADDRESS": (
        "Our router shows {} as its address.",
        "The failed logins all came from {}.",
        "I can reach {} but not the website.",
        "Your firewall seems to block {}.",
    ),
    "PASSWORD": (
        "I set the password to {} and it still will not let me in.",
        "My password is {} if you need to try it yourself.",
        "It keeps rejecting {} as my password.",
        "The passcode that I typed was {}.",
    ),
    "PERSON": (
        "My name is {}, and I would like some help with this.",
        "This is {} again, I wrote yesterday.",
        "The booking should be under {}.",
        "The contract is in the name of {}.",
        "Please ask for {} when you ring.",
        "Kind regards, {}",
        "I spoke to {} about it on Monday.",
        "I am {}, we met in the shop.",
    ),
    "PHONE_NUMBER": (
        "You can reach me on {} after five.",
        "Please call {} before you come.",
        "My number has changed to {}.",
        "I never had the text message on {}.",
        "Ring me back: {}.",
    ),
    "PIN": (
        "My pin is {} and the machine will not take it.",
        "I typed the PIN, {}, three times.",
        "The pin code that you sent me was {}.",
    ),
    "US_DRIVER_LICENSE": (
        "My driver's license is {}.",
        "For the rental: licence number {}.",
        "The driving license you asked for is {}.",
        "I have a new drivers licence, number {}.",
    ),
    "US_SSN": (
        "My social security number is {}.",
        "The last application used SSN {}.",
        "You have my social wrong, it is {}.",
        "Please check again with {}, that is my ssn.",
    ),
    "USERNAME": (
        "My username is {}.",
        "I am signed in as {} and see nothing.",
        "The user name I registered was {}.",
        "Please reset the login for user {}.",
    ),
    "ZIP_CODE": (
        "My postcode is {}, do you deliver there?",
        "The zip code is {}.",
        "It says that {} is not a valid postal code.",
        "We are in the {} area code for mail, I mean the zip.",
    ),
}

# type -> (question of the agent, answer of the customer)
ASKED: dict[str, tuple[tuple[str, str], ...]] = {
    "ACCOUNT_NUMBER": (
        ("Could I have your account number?", "{}"),
        ("Which account is this about, please?", "the one ending in, wait, the whole number is {}"),
    ),
    "ADDRESS": (
        ("Where shall we deliver it?", "{}"),
        ("Can you confirm the address that we have for you?", "Sure, it's {}"),
    ),
    "AGE": (("How old are you, if I may ask?", "{}"), ("May I ask your age?", "I'm {}")),
    "CREDIT_CARD": (("Which card would you like to use?", "{}"), ("May I have the long number on the card?", "ok {}")),
    "DATE_OF_BIRTH": (
        ("For security, what is your date of birth?", "{}"),
        ("And when were you born?", "that would be {}"),
    ),
    "EMAIL_ADDRESS": (
        ("What is the best e-mail address for you?", "{}"),
        ("Where can I send the receipt?", "{} please"),
    ),
    "IBAN_CODE": (("To which account shall we pay it back?", "{}"), ("May I have your IBAN?", "yes, {}")),
    "IP_ADDRESS": (("What address does your device show?", "{}"), ("Do you know your IP?", "I think {}")),
    "PASSWORD": (
        ("What password did you choose?", "{}"),
        ("Please tell me your telephone password.", "it is {}"),
    ),
    "PERSON": (
        ("And who am I talking to?", "{}"),
        ("May I take your full name?", "of course, {}"),
        ("What name is the reservation under?", "{} I think"),
    ),
    "PHONE_NUMBER": (
        ("What number can we call you on?", "{}"),
        ("Is there a phone number for the courier?", "yes {}"),
    ),
    "PIN": (
        ("Please give me your PIN to continue.", "{}"),
        ("What is the four digit code that you set up with us?", "I believe {}"),
    ),
    "US_DRIVER_LICENSE": (
        ("Can I have the number of your driver's license?", "{}"),
        ("What does your driving licence say?", "here you go: {}"),
    ),
    "US_SSN": (("May I have your social security number?", "{}"), ("And your social?", "it's {}")),
    "USERNAME": (("What is your user name?", "{}"), ("Which login do you use?", "I use {}")),
    "ZIP_CODE": (("What is your postcode?", "{}"), ("And the zip code there?", "that's {}")),
}
