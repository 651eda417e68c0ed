"""What the report's terms mean, in plain words: every name that a reader meets is explained from here."""

LANGUAGES = {
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "und": "not identified",
}

STEPS = {
    "ingest": "Reads the logs; what cannot be read is set aside with its line number.",
    "scrub": "Finds personal data and puts placeholders such as <PERSON_1> in its place.",
    "normalize": "Tidies white space, spelling, signatures and boilerplate; takes out what is too short or too long.",
    "dedupe": "Takes out copies and near-copies; groups what is alike into families; keeps some for testing.",
    "annotate": "Gives conversations their intent: from the log, from rules, or from a classifier that is sure enough.",
    "select": "Keeps the conversations that the model is meant to learn from.",
    "augment": "Writes copies of rare training conversations with the customer's words changed; drops the unfit ones.",
    "balance": "Caps frequent intents, repeats rare ones or gives them more weight; in training only.",
    "split": "Separates training, validation and test conversations and proves that nothing crosses.",
    "encode": "Turns words into tokens, what a model reads, and marks those it learns from: the agents' replies.",
    "base": "The model that training starts from; made once and kept.",
    "finetune": "Trains the base model further on the training conversations.",
    "evaluate": "Measures base, candidate and champion on test conversations that none of them has seen.",
    "promote": "Makes the best candidate the champion if it passes every gate.",
}

FORMS = {  # how a planted value was written: what that means, and its name
    "as_written": ("with capitals and signs", "In full"),
    "lower_case": ("signs, but no capitals", "In lower case"),
    "no_punctuation": ("and without capitals", "Without signs"),
    "misspelled": ("in the value or beside it", "With a letter wrong"),
    "hidden": ("HTML entities, tags, invisible or wide characters", "In disguise"),
    "spoken": ("numbers digit by digit, in words", "Said aloud"),
}

MODELS = {
    "candidate": ("Candidate", "the model that this run trained"),
    "champion": ("Champion", "the model in use when this run judged"),
    "base": ("Base", "the model before it was trained on these logs"),
    "bigram": ("Bigram", "a yardstick: guesses from the previous token alone"),
    "unigram": ("Unigram", "a yardstick: guesses from how frequent each token is"),
}

METRICS = {
    "bits_per_byte": (
        "Bits per byte",
        "How many bits of surprise each byte of the agents' test replies costs the model. Lower is better. "
        "Blind guessing of bytes costs 8. Models with different tokenizers can be compared by it.",
    ),
    "loss": (
        "Loss",
        "The average surprise per token, in nats (cross-entropy): what training minimises. Lower is better; "
        "only models with the same tokenizer compare.",
    ),
    "perplexity": (
        "Perplexity",
        "The loss as a number of choices: 10 means that the model is as unsure as if it had to pick among ten equally "
        "likely tokens. Lower is better.",
    ),
    "token_accuracy": (
        "Token accuracy",
        "How often the model's first choice for the next token is the one that the agent wrote. Higher is better.",
    ),
    "supervised_tokens": (
        "Tokens judged",
        "The tokens of the agents' test replies; what customers wrote and padding do not count.",
    ),
}

SOURCES = {
    "log": ("From the log", "the label that the support team gave"),
    "human": ("By a person", "labelled by hand afterwards"),
    "rule": ("By a rule", "the words that the pipeline file names for an intent"),
    "model": ("By the classifier", "learned from labelled training conversations, used only where it is sure enough"),
    "none": ("Without a label", "nothing was sure enough; used for training all the same"),
}

CLASSIFIER = {
    "precision": ("Right when it labels", "of the labels that it gives, how many are right (precision)"),
    "coverage": ("Labels given", "how many conversations it is sure enough about (coverage)"),
    "accuracy": ("Right at first guess", "if it had to label every conversation (accuracy)"),
    "macro_f1": ("Over all intents", "each intent counts the same, rare or frequent (macro F1)"),
    "ece": ("Certainty is off by", "how far its stated certainty is from how often it is right (calibration error)"),
    "threshold": ("Sure enough from", "the least certainty at which it gives a label (threshold)"),
}

REASONS = {
    "duplicate_id": "id seen before",
    "exact_duplicate": "exact copies",
    "near_duplicate": "near-copies",
    "no_supervised_tokens": "no agent's words to learn from",
    "no_turns": "without a message",
    "over_cap": "above the cap of their intent",
}

COPIES = {
    "nothing_generated": "nothing came back",
    "not_new": "no new words",
    "placeholder_lost": "lost or changed a placeholder, link or number",
    "personal_data": "looked like personal data",
    "length": "far shorter or longer",
    "too_different": "strayed from the meaning",
    "too_similar": "hardly changed",
}

GENERATORS = {
    "back_translation": "translated into another language and back",
    "synonyms": "words replaced by words of like meaning",
    "noise": "typing errors as customers make them",
    "paraphrase": "said again in other words by a language model",
    "synthetic": "written by a language model",
}

TERMS = {
    "candidate": ("Candidate", "the model that this run trained."),
    "gate": ("Gate", "a condition that a model must meet to be put in use."),
    "bits per byte": ("Bits per byte", "how surprised a model is by what agents really wrote; lower is better."),
}

GATES = {
    "better than base": "It predicts the agents' replies clearly better than the model it started from.",
    "better than unigram": "It clearly beats guessing from how frequent each token is.",
    "better than bigram": "It clearly beats guessing from the previous token alone.",
    "better than champion": "It is clearly better than the model in use.",
    "not worse than champion": "It is the model in use's equal, or better, within the declared margin.",
    "enough test families": "The test split is large enough to decide without a person.",
    "not replaced before": "Nobody had already replaced this very model by another.",
}
