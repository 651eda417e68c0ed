"""How the report words the reasons why a copy is rejected."""

REASONS = {
    "nothing_generated": "nothing came back",
    "not_new": "no new words",
    "placeholder_lost": "lost or changed a placeholder, link or number",
    "personal_data": "looked like personal data",
    "length": "far shorter or longer",
    "too_different": "strayed from the meaning",
    "too_similar": "hardly changed",
}
