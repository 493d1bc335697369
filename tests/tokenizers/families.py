"""Tokenizers as the known models have them, trained on whatever text is at hand."""
import io

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def split(*expressions):
    cuts = [pre_tokenizers.Split(Regex(e), "isolated") for e in expressions]
    return pre_tokenizers.Sequence(cuts + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(pre_tokenizer, normalizer=None, specials=("<|endoftext|>",), **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, lambda vocab: trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=ALPHABET, show_progress=False,
                                                        special_tokens=list(specials))


def bert(lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer, lambda vocab: trainers.WordPieceTrainer(
        vocab_size=vocab, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])


def train(name, texts, vocab):
    tokenizer, trainer = {
        "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "roberta": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), specials=["<s>", "</s>"]),
        "llama3": lambda: byte_level(split(LLAMA3), specials=["<|begin_of_text|>", "<|end_of_text|>"], ignore_merges=True),
        "qwen2": lambda: byte_level(split(QWEN2), normalizers.NFC()),
        "o200k": lambda: byte_level(split(O200K)),
        "deepseek": lambda: byte_level(split(*DEEPSEEK)),
        "starcoder": lambda: byte_level(pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
        "bert-uncased": lambda: bert(True),
        "bert-cased": lambda: bert(False),
    }[name]()
    tokenizer.train_from_iterator(texts, trainer(vocab))
    if name == "roberta":
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=True)])
    if name == "qwen2":
        tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
        tokenizer.add_tokens([AddedToken("\u00e9t\u00e9", rstrip=True, normalized=True), AddedToken("<tool>", normalized=False)])
    return tokenizer


BPE_FAMILIES = ["gpt2", "roberta", "llama3", "qwen2", "o200k", "deepseek", "starcoder"]
WORDPIECE_FAMILIES = ["bert-uncased", "bert-cased"]


def train_sentencepiece(kind, texts, vocab, rule=None):
    rule = rule or ("identity" if kind == "bpe" else "nmt_nfkc")
    model = io.BytesIO()
    lines = (line for text in texts for line in text.split("\n") if line.strip())
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=model, model_type=kind, vocab_size=vocab, byte_fallback=True,
        character_coverage=0.99, minloglevel=2, hard_vocab_limit=False, num_threads=1,
        normalization_rule_name=rule, max_sentence_length=20000)
    return model.getvalue()


SENTENCEPIECE_FAMILIES = {"t5": "unigram", "llama2": "bpe"}
