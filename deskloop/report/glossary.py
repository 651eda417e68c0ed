"""The terms that the report uses for models, figures and gates, in plain words; those of a stage are its own."""

MODELS = {
    "candidate": ("Candidate", "the model that this run trained"),
    "champion": ("Champion", "the promoted model at the time of the evaluation"),
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
        "Tokens evaluated",
        "The tokens of the agents' test replies; what customers wrote and padding do not count.",
    ),
}

TERMS = {
    "candidate": ("Candidate", "the model that this run trained."),
    "gate": ("Gate", "a condition that a model must meet to be promoted."),
    "bits per byte": ("Bits per byte", "how surprised a model is by what agents really wrote; lower is better."),
}

GATES = {
    "better than base": "It predicts the agents' replies clearly better than the model it started from.",
    "better than unigram": "It clearly beats guessing from how frequent each token is.",
    "better than bigram": "It clearly beats guessing from the previous token alone.",
    "better than champion": "It is clearly better than the champion.",
    "not worse than champion": "It is as good as the champion, or better, within the declared margin.",
    "enough test families": "The test split is large enough to decide without a person.",
    "not replaced before": "This very model is not a former champion.",
}
