"""The terms that the report uses for models, figures and gates, in plain words; a stage has its own terms."""

MODELS = {
    "candidate": ("Candidate", "the model that this run trained"),
    "champion": ("Champion", "the promoted model at the time of the evaluation"),
    "base": ("Base", "the model before it was trained on these logs"),
    "bigram": ("Bigram", "a baseline: predicts each token from the previous one"),
    "unigram": ("Unigram", "a baseline: predicts each token by its frequency"),
}

METRICS = {
    "bits_per_byte": (
        "Bits per byte",
        "The average number of bits that the model needs to encode a byte of the agents' test replies. Lower is "
        "better; random guessing needs 8. Comparable between models with different tokenizers.",
    ),
    "loss": (
        "Loss",
        "The average cross-entropy per token, in nats, which the training minimises. Lower is better; comparable only "
        "between models with the same tokenizer.",
    ),
    "perplexity": (
        "Perplexity",
        "The exponential of the loss: at 10, the model is as uncertain as if it had to choose among ten equally likely "
        "tokens. Lower is better.",
    ),
    "token_accuracy": (
        "Token accuracy",
        "How often the most likely next token is the one that the agent wrote. Higher is better.",
    ),
    "supervised_tokens": (
        "Tokens evaluated",
        "The tokens of the agents' test replies, without those of customers and padding.",
    ),
}

TERMS = {
    "candidate": ("Candidate", "a model that this run trained."),
    "gate": ("Gate", "a condition that a model must meet to be promoted."),
    "bits per byte": ("Bits per byte", "how badly a model predicts what agents really wrote; lower is better."),
}

GATES = {
    "better than base": "It predicts the agents' replies clearly better than the model it started from.",
    "better than unigram": "It predicts clearly better than the frequency of each token.",
    "better than bigram": "It predicts clearly better than the previous token alone.",
    "better than champion": "It is clearly better than the champion.",
    "not worse than champion": "It is as good as the champion, or better, within the declared margin.",
    "enough test families": "The test split is large enough to decide without a person.",
    "not replaced before": "The model is not a former champion.",
}
