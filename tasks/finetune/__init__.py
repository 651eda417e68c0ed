"""Fine-tune a base model on the encoded conversations, with Hugging Face's Trainer.

Training is resumed from its last checkpoint, and then ends with the weights of an undisturbed run (P6, P10).
"""

from tasks.finetune.base import prepare_base
from tasks.finetune.config import FinetuneConfig
from tasks.finetune.train import finetune

__all__ = ["FinetuneConfig", "finetune", "prepare_base"]
