"""A model from a config, an adapter, and two training steps. Imports torch: only a child comes here."""

from __future__ import annotations

from typing import Any

from benchmarks.memory.runs import TOKENS


class Session:
    """Builds the model and takes two steps. Everything is imported before anything is measured."""

    def __init__(self, spec: dict[str, Any]) -> None:
        import bitsandbytes  # noqa: F401
        import peft
        import torch
        import transformers

        self.torch, self.peft, self.transformers = torch, peft, transformers
        if spec["loop"] == "trl":
            import datasets  # noqa: F401
            import trl

            self.trl = trl
        self.spec, self.setup = spec, spec["setup"]
        kind = {"gemma3_text": "Gemma3Text", "gpt2": "GPT2", "olmo2": "Olmo2"}.get(spec["model_type"])
        kind = kind or spec["model_type"].capitalize()
        self.config = getattr(transformers, f"{kind}Config")(**spec["config"], **TOKENS)
        self.config.use_cache = False
        warm = torch.nn.Linear(8, 8)
        warm(torch.zeros(1, 8)).sum().backward()

    def go(self) -> None:
        self.torch.manual_seed(0)
        if self.spec["loop"] == "trl":
            self.trl_steps()
        else:
            self.steps()

    def model(self) -> Any:
        torch, setup = self.torch, self.setup
        torch.set_default_dtype(torch.bfloat16 if setup["dtype"] == "bf16" else torch.float32)
        if setup["method"] == "qlora":
            model = self.quantised()
        else:
            model = self.transformers.AutoModelForCausalLM.from_config(self.config)
        torch.set_default_dtype(torch.float32)
        return model

    def quantised(self) -> Any:
        """Linear layers in NF4 with double quantisation, made layer by layer so that the build is not the peak."""
        import bitsandbytes as bnb

        with self.torch.device("meta"):
            model = self.transformers.AutoModelForCausalLM.from_config(self.config)
        for parent in list(model.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, self.torch.nn.Linear) and name != "lm_head":
                    new = bnb.nn.Linear4bit(
                        layer.in_features,
                        layer.out_features,
                        bias=False,
                        compute_dtype=self.torch.float32,
                        quant_type="nf4",
                        compress_statistics=True,
                    )
                    setattr(parent, name, new.to("cpu"))
                elif not list(layer.children()) and list(layer.parameters(recurse=False)):
                    layer.to_empty(device="cpu")
                    for weight in layer.parameters():
                        self.torch.nn.init.normal_(weight, std=0.02)
        model.model.rotary_emb = type(model.model.rotary_emb)(self.config)
        model.is_loaded_in_4bit = True
        return model

    def adapted(self, model: Any) -> Any:
        peft, setup = self.peft, self.setup
        method = setup["method"]
        if method == "full":
            return model
        model.requires_grad_(False)
        tokens = {"num_virtual_tokens": setup.get("virtual_tokens", 20), "task_type": "CAUSAL_LM"}
        made = {
            "ia3": lambda: peft.IA3Config(task_type="CAUSAL_LM"),
            "prefix": lambda: peft.PrefixTuningConfig(**tokens),
            "prompt": lambda: peft.PromptTuningConfig(**tokens),
        }.get(method, self.low_rank)()
        return peft.get_peft_model(model, made)

    def low_rank(self) -> Any:
        setup = self.setup
        groups = {"qv": ["q_proj", "v_proj"], "mlp": ["gate_proj", "up_proj", "down_proj"]}
        groups["attention"] = ["q_proj", "k_proj", "v_proj", "o_proj"]
        target = setup.get("targets", "all-linear")
        return self.peft.LoraConfig(
            r=setup.get("rank", 16),
            lora_alpha=32,
            target_modules=groups.get(target, target),
            lora_dropout=setup.get("dropout", 0.0),
            use_dora=setup["method"] == "dora",
            task_type="CAUSAL_LM",
        )

    def ready(self) -> Any:
        model = self.adapted(self.model())
        if self.setup["checkpointing"]:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            if self.setup["method"] != "full":
                model.enable_input_require_grads()
        return model.train()

    def steps(self) -> None:
        torch, setup = self.torch, self.setup
        model = self.ready()
        dpo = setup.get("objective") == "dpo"
        other = self.model().requires_grad_(False) if dpo and setup["reference"] == "model" else None
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
        for _ in range(2):
            for _ in range(setup.get("accumulation", 1)):
                rows = setup["batch"] * (2 if dpo else 1)
                ids = torch.randint(3, self.config.vocab_size, (rows, setup["length"]))
                mask = torch.ones_like(ids)
                if setup.get("padded"):
                    mask[0, -7:] = 0
                if dpo:
                    self.dpo(model, other, ids).backward()
                    continue
                out = model(input_ids=ids, labels=ids, **({"attention_mask": mask} if setup.get("padded") else {}))
                loss = out.loss
                if self.spec["loop"] == "dropped":
                    del out
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def dpo(self, model: Any, other: Any, ids: Any) -> Any:
        """The loss of Rafailov 2023 over chosen and rejected rows in one forward pass, as TRL batches them."""
        torch = self.torch

        def scores(which: Any) -> Any:
            logits = which(input_ids=ids).logits[:, :-1]
            return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1).sum(-1)

        with torch.no_grad():
            if other is not None:
                reference = scores(other)
            else:
                with model.disable_adapter():
                    reference = scores(model)
        gain = scores(model) - reference
        chosen, rejected = gain.chunk(2)
        return -torch.nn.functional.logsigmoid(0.1 * (chosen - rejected)).mean()

    def trl_steps(self) -> None:
        import tempfile

        from datasets import Dataset
        from tokenizers import Tokenizer, models

        setup = self.setup
        words = {str(i): i for i in range(self.config.vocab_size)}
        inner = Tokenizer(models.WordLevel(words, unk_token="0"))
        tokenizer = self.transformers.PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="0", eos_token="2", unk_token="0"
        )
        ids = self.torch.randint(3, self.config.vocab_size, (2 * setup["batch"], setup["length"])).tolist()
        with tempfile.TemporaryDirectory() as folder:
            arguments = self.trl.SFTConfig(
                output_dir=folder,
                max_steps=2,
                per_device_train_batch_size=setup["batch"],
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=setup["checkpointing"],
                max_length=setup["length"],
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            )
            trainer = self.trl.SFTTrainer(
                model=self.model(),
                args=arguments,
                train_dataset=Dataset.from_dict({"input_ids": ids}),
                processing_class=tokenizer,
                peft_config=None if setup["method"] == "full" else self.low_rank(),
            )
            trainer.train()
