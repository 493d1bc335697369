#!/usr/bin/env python3
"""Makes the golden folders beside this file: small random models of the public library, with what it computes of them.

    "$(bash tests/parity/python_env.sh)" tests/parity/make_golden.py [NAME ...]

A folder golden/NAME has

    config.json, model.safetensors   as save_pretrained leaves them, in float32
    golden.json                      the batch by Trellis's names of fields, options that differ, and the losses
    gradients-f32.safetensors        by the unmodified library
    gradients-f64.safetensors        the same weights in float64, its casts to float32 (RMSNorm, rotary tables) taken out
    outputs.safetensors              the logits of every head at all positions, in each dtype: "f32.labels" are those
                                     that the field `labels` is compared with, by the unmodified library

Gradients have the names that the files give to the parameters. Everything is made from fixed seeds; dropout is off, but in
NAME-dropout, where the calls of the library drop what Trellis drops (trellis_dropout.py).
"""
import contextlib
import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, GPT2Config,
                          GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, T5Config, T5ForConditionalGeneration, ViTConfig,
                          ViTForImageClassification)

from trellis_dropout import TrellisDropout

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
VOCAB, ROWS, SEQUENCE, TARGET = 19, 3, 7, 5

BERT = dict(vocab_size=VOCAB, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
            max_position_embeddings=SEQUENCE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
VIT = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, image_size=6, patch_size=2,
           num_labels=5)
T5 = dict(vocab_size=VOCAB, d_model=8, d_kv=3, d_ff=12, num_layers=2, num_decoder_layers=3, num_heads=2,
          relative_attention_num_buckets=8, relative_attention_max_distance=10, dropout_rate=0.0,
          decoder_start_token_id=0)
T5_LENGTHS = {"sequence": SEQUENCE, "target": TARGET}  # of which config.json says nothing
GPT2 = dict(vocab_size=VOCAB, n_positions=SEQUENCE, n_embd=8, n_layer=2, n_head=2, n_inner=12, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0)
LLAMA = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=SEQUENCE, rms_norm_eps=1e-6)


# --- batches: fields as Trellis names them, labels -1 where nothing counts ---

def numbers(seed, shape, low, high):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def with_holes(labels, there, seed):
    return torch.where((there > 0) & (numbers(seed, labels.shape, 0, 3) > 0), labels, -1)


def text_batch():
    labels = numbers(2, (ROWS, SEQUENCE), 0, VOCAB)
    return {"ids": numbers(1, (ROWS, SEQUENCE), 1, VOCAB), "positions": torch.arange(SEQUENCE).expand(ROWS, -1),
            "labels": with_holes(labels, torch.ones_like(labels), 3)}


def masked(batch, lengths):
    there = (torch.arange(SEQUENCE) < torch.tensor(lengths).unsqueeze(1)).long()
    return batch | {"mask": there, "ids": batch["ids"] * there}


def bert_batch(labels):
    batch = masked(text_batch(), (7, 4, 6))
    batch["segments"] = (torch.arange(SEQUENCE) > 2).long().expand(ROWS, -1) * batch["mask"]
    batch["labels"] = torch.where(batch["mask"] > 0, batch["labels"], -1)
    if labels == "samples":
        batch["labels"] = torch.tensor([[2], [0], [1]])
    if labels == "both":
        # Of these the gradients of the bias do not cancel: of [1], [0], [-1] so much of them does that the library's
        # float32 is off its float64 by 2.3e-5.
        batch["next_sentence_labels"] = torch.tensor([[1], [-1], [0]])
    return batch


def t5_batch():
    batch = masked(text_batch(), (7, 5, 3))
    del batch["positions"]
    labels = numbers(5, (ROWS, TARGET), 1, VOCAB)
    batch["decoder_ids"] = torch.cat([torch.zeros(ROWS, 1, dtype=torch.long), labels[:, :-1]], 1)
    batch["labels"] = with_holes(labels, torch.ones_like(labels), 6)
    return batch


def images(size, seed=7):
    return numbers(seed, (ROWS, 3, size, size), -64, 65).double() / 64  # the same in every dtype


def patches_of(pixels, patch):
    """A patch is channel by channel and row by row; position 0 is the class token's, and zero."""
    rows, channels, size, _ = pixels.shape
    side = size // patch
    cut = pixels.reshape(rows, channels, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5)
    return torch.cat([torch.zeros(rows, 1, channels * patch * patch), cut.reshape(rows, side * side, -1)], 1)


def vit_batch(size):
    pixels = images(size)
    patches = patches_of(pixels, VIT["patch_size"])
    return {"pixels": pixels, "patches": patches, "positions": torch.arange(patches.shape[1]).expand(ROWS, -1),
            "labels": torch.tensor([[4], [0], [2]])}


# --- what the library computes ---

def ignored(labels):
    return torch.where(labels < 0, -100, labels)


def causal_loss(model, b):
    """The library shifts labels by itself; Trellis's are those of the next token already."""
    logits = model(input_ids=b["ids"]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ignored(b["labels"]).flatten())


def bert_loss(model, b):
    inputs = dict(input_ids=b["ids"], attention_mask=b["mask"], token_type_ids=b["segments"])
    if "next_sentence_labels" in b:
        inputs["next_sentence_label"] = ignored(b["next_sentence_labels"]).flatten()
    labels = ignored(b["labels"])
    return model(**inputs, labels=labels.flatten() if labels.shape[1] == 1 else labels).loss


def t5_loss(model, b):
    return model(input_ids=b["ids"], attention_mask=b["mask"], decoder_input_ids=b["decoder_ids"],
                 labels=ignored(b["labels"])).loss


def vit_loss(model, b):
    dtype = next(model.parameters()).dtype
    return model(pixel_values=b["pixels"].to(dtype), labels=b["labels"].flatten(), interpolate_pos_encoding=True).loss


def untied_t5(**options):
    """Since 5.0 a head of its own is one that the files have; config.json only says whether its input is scaled."""
    model = T5ForConditionalGeneration(T5Config(**T5, **options))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    return model


DROPOUT = dict(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3)
DROPS = {  # (layer, op) of each call, in the order of the calls, as the families declare them
    "gpt2": [(0, 3)] + [(layer, op) for layer in (1, 2) for op in (7, 10, 18)],
    "llama": [(1, 6), (2, 6)],
    "bert": [(0, 6)] + [(layer, op) for layer in (1, 2) for op in (6, 9, 17)],
    "vit": [(0, 5)] + [(layer, op) for layer in (1, 2) for op in (7, 10, 18)],
    "t5": ([(0, 1)] + [(layer, op) for layer in (1, 2) for op in (4, 6, 11, 13)] + [(3, 1), (3, 3)] +
           [(layer, op) for layer in (4, 5, 6) for op in (4, 6, 12, 14, 19, 21)] + [(7, 1)]),
}


# name: (model, batch, loss, options that Trellis is given beside those of config.json)
CASES = {
    "bert-masked-lm": (lambda: BertForMaskedLM(BertConfig(**BERT)), lambda: bert_batch("tokens"), bert_loss, {}),
    "bert-untied": (lambda: BertForMaskedLM(BertConfig(**BERT, tie_word_embeddings=False, hidden_act="gelu_new")),
                    lambda: bert_batch("tokens"), bert_loss, {}),
    "bert-pretraining": (lambda: BertForPreTraining(BertConfig(**BERT, hidden_act="relu")),
                         lambda: bert_batch("both"), bert_loss, {}),
    "bert-classification": (lambda: BertForSequenceClassification(BertConfig(**BERT, num_labels=3)),
                            lambda: bert_batch("samples"), bert_loss, {}),
    "vit": (lambda: ViTForImageClassification(ViTConfig(**VIT)), lambda: vit_batch(6), vit_loss, {}),
    "vit-no-bias": (lambda: ViTForImageClassification(ViTConfig(**VIT, qkv_bias=False, hidden_act="gelu_new")),
                    lambda: vit_batch(6), vit_loss, {}),
    "vit-larger-images": (lambda: ViTForImageClassification(ViTConfig(**VIT)), lambda: vit_batch(10), vit_loss,
                          {"image_size": 10}),
    "t5": (lambda: T5ForConditionalGeneration(T5Config(**T5)), t5_batch, t5_loss, T5_LENGTHS),
    "t5-untied-gated": (lambda: untied_t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False), t5_batch, t5_loss,
                        T5_LENGTHS),
    "t5-tied-unscaled": (lambda: T5ForConditionalGeneration(T5Config(**T5, tie_word_embeddings=False)), t5_batch, t5_loss,
                         T5_LENGTHS),
    "t5-untied-scaled": (untied_t5, t5_batch, t5_loss, T5_LENGTHS),
    "gpt2": (lambda: GPT2LMHeadModel(GPT2Config(**GPT2)), text_batch, causal_loss, {}),
    "llama": (lambda: LlamaForCausalLM(LlamaConfig(**LLAMA)), text_batch, causal_loss, {}),
    "llama-tied-bias": (lambda: LlamaForCausalLM(LlamaConfig(
        **LLAMA, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=6,
        rope_parameters={"rope_theta": 500.0, "rope_type": "default"})), text_batch, causal_loss, {}),
    "llama3": (lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, rope_parameters={
        "rope_theta": 500.0, "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 0.2, "high_freq_factor": 1.0,
        "original_max_position_embeddings": 4}, pad_token_id=1)), text_batch, causal_loss, {}),
    "mistral": (lambda: MistralForCausalLM(MistralConfig(**LLAMA, sliding_window=3)), text_batch, causal_loss, {}),
    "qwen2": (lambda: Qwen2ForCausalLM(Qwen2Config(**LLAMA)), text_batch, causal_loss, {}),
    "gpt2-dropout": (lambda: GPT2LMHeadModel(GPT2Config(**GPT2 | dict(resid_pdrop=0.2, embd_pdrop=0.1, attn_pdrop=0.3))),
                     text_batch, causal_loss, {}),
    "llama-dropout": (lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, attention_dropout=0.3)), text_batch, causal_loss, {}),
    "bert-dropout": (lambda: BertForMaskedLM(BertConfig(**BERT | DROPOUT)), lambda: bert_batch("tokens"), bert_loss, {}),
    "vit-dropout": (lambda: ViTForImageClassification(ViTConfig(**VIT, **DROPOUT)), lambda: vit_batch(6), vit_loss, {}),
    "t5-dropout": (lambda: T5ForConditionalGeneration(T5Config(**T5 | dict(dropout_rate=0.2))), t5_batch, t5_loss, T5_LENGTHS),
    "qwen2-windows": (lambda: Qwen2ForCausalLM(Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=4,
                                                           max_window_layers=1)), text_batch, causal_loss, {}),
}


# Of these models with weights by seed 11 bf16 is no judge. Where the library's norm is made to round once rather than twice,
# and its attention to compute in float32, its own logits of "t5" move by 4.0e-2 of the largest; its two implementations of
# attention are 6.5e-2 apart for "t5-untied-scaled", and one is 3.7e-2 from float64 for "qwen2-windows". By these seeds they
# are 1.0e-2 apart at most, and 1.3e-2 from float64.
SEEDS = {"t5": 23, "t5-tied-unscaled": 23, "t5-untied-scaled": 23, "qwen2-windows": 14}


def randomize(model, seed):
    """Away from what starts as zero or one, so that every gradient says something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            middle = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
            p.copy_(middle + 0.3 * torch.randn(p.shape, generator=generator))


# --- float64 throughout ---

def exact_norm(self, x):
    eps = self.variance_epsilon
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def exact_rotary(self, x, position_ids, *_, **__):
    size = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
    rope = self.config.rope_parameters
    frequency = rope["rope_theta"] ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    if rope["rope_type"] == "llama3":
        turns = rope["original_max_position_embeddings"] * frequency / (2 * torch.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        share = ((turns - low) / (high - low)).clamp(0, 1)
        frequency = frequency * (share + (1 - share) / rope["factor"])
    angle = position_ids.double().unsqueeze(-1) * frequency
    angle = torch.cat([angle, angle], -1)
    return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


@contextlib.contextmanager
def without_float32(model):
    """Its casts to float32 taken out. sdpa has none; eager attention has that of its softmax."""
    changed = {type(m) for m in model.modules()
               if type(m).__name__.endswith(("RMSNorm", "RotaryEmbedding", "T5LayerNorm"))}
    kept = {cls: cls.forward for cls in changed}
    for cls in changed:
        cls.forward = exact_rotary if cls.__name__.endswith("RotaryEmbedding") else exact_norm
    softmax, to_float = torch.nn.functional.softmax, torch.Tensor.float
    torch.nn.functional.softmax = lambda x, dim=None, dtype=None, **_: softmax(x, dim=dim)
    torch.Tensor.float = lambda x: x if x.dtype == torch.float64 else to_float(x)
    try:
        yield
    finally:
        torch.nn.functional.softmax, torch.Tensor.float = softmax, to_float
        for cls, forward in kept.items():
            cls.forward = forward


# What the library calls the logits of a head, and the field that they are compared with.
HEADS = {"logits": "labels", "prediction_logits": "labels", "seq_relationship_logits": "next_sentence_labels"}


@contextlib.contextmanager
def outputs_of(model, dtype):
    """What the model's heads give while it is open."""
    outputs = {}

    def keep(_, __, result):
        outputs.update({f"{dtype}.{HEADS[key]}": value.detach().clone() for key, value in result.items() if key in HEADS})

    hook = model.register_forward_hook(keep)
    try:
        yield outputs
    finally:
        hook.remove()


def step(name, model, batch, loss_of, dtype):
    """The loss, logits, and the names of parameters that it does not use; gradients stay in the model."""
    model.zero_grad(set_to_none=True)
    drops = DROPS[name.removesuffix("-dropout")] if name.endswith("-dropout") else []
    with TrellisDropout(drops), outputs_of(model, dtype) as outputs:
        loss = loss_of(model, batch)
    loss.backward()
    return loss.item(), outputs, [name for name, p in model.named_parameters() if p.grad is None]


def save_gradients(model, file):
    """As weights of the same model, so that they get the names that its files have."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shutil.copy(pathlib.Path(folder) / "model.safetensors", file)


def worst_gradient(folder):
    """How far the library's float32 is from its own float64, as the test measures Trellis's, and where."""
    double, single = (load_file(folder / f"gradients-{dtype}.safetensors") for dtype in ("f64", "f32"))
    largest = max(b.abs().max() for b in double.values())
    return max((((single[name] - b).abs().max() / max(b.abs().max(), 1e-3 * largest)).item(), name)
               for name, b in double.items())


def make(name):
    build, batch_of, loss_of, options = CASES[name]
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(0)
    model = build().eval()
    model.set_attn_implementation("sdpa")
    if name.endswith("-dropout"):
        model.train().set_attn_implementation("eager")
    randomize(model, SEEDS.get(name, 11))
    model.save_pretrained(folder)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    batch = batch_of()

    single, outputs, unused = step(name, model, batch, loss_of, "f32")
    save_gradients(model, folder / "gradients-f32.safetensors")
    model.load_state_dict(weights)
    model.double()
    with without_float32(model):
        double, outputs_f64, _ = step(name, model, batch, loss_of, "f64")
    save_gradients(model, folder / "gradients-f64.safetensors")
    model.load_state_dict(weights)
    model.bfloat16()
    half, outputs_bf16, _ = step(name, model, batch, loss_of, "bf16")
    save_file(outputs | outputs_f64 | outputs_bf16, folder / "outputs.safetensors")
    golden = {"made_by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
              "options": options, "loss_f32": single, "loss_f64": double, "loss_bf16": half, "unused": unused,
              "fields": {k: v.tolist() for k, v in batch.items() if k != "pixels"}}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{name:20} loss {double:.15f}  f32 {single - double:+.1e}  bf16 {half - double:+.1e}  unused {unused}  "
          "gradients f32 {:.1e} {}".format(*worst_gradient(folder)))


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        make(name)
