"""A finished run, without a training."""

from training.runs import RunRecord, write_run
from workspace.files import sha256_file
from workspace.folder import Project


def finish_run(project: Project, name: str, base: str = "tiny") -> RunRecord:
    """Write a finished run as the trainer does; its weights are a few bytes."""
    folder = project.runs / name
    (folder / "adapter").mkdir(parents=True)
    weights = folder / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(name.encode())
    record = RunRecord(
        id=name,
        state="finished",
        plan="P-001",
        plan_sha256="",
        clearance_sha256="",
        dataset="v001",
        base=base,
        method="lora",
        adapter=f"{name}/adapter",
        system_prompt="Topic.",
        files={weights.name: sha256_file(weights)},
    )
    write_run(folder, record)
    return record
