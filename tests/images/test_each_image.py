"""What is in an image, seen from inside of it."""

import pytest

from tests.images.conftest import run
from tests.unit.deploy.dockerfile import images

pytestmark = pytest.mark.timeout(2_400)

TOOLS = "pip", "pip3", "gcc", "cc", "make"


def inside(image: str, script: str, *options: str) -> str:
    command = ["docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", *options]
    return run([*command, "--entrypoint", "sh", f"kasparro/{image}:dev", "-c", script]).strip()


@pytest.mark.usefixtures("project")  # which builds them
@pytest.mark.parametrize("image", sorted(images()))
class TestEachImage:
    def test_nobody_is_root(self, image: str) -> None:
        assert inside(image, "id -u; id -g") == "10001\n10001"

    def test_nothing_in_it_builds_or_installs(self, image: str) -> None:
        assert inside(image, f"for tool in {' '.join(TOOLS)}; do command -v $tool || true; done") == ""
        assert inside(image, "python -c 'import pip' 2>&1 || true").endswith("No module named 'pip'")

    def test_every_module_has_its_bytecode(self, image: str) -> None:
        """The root file system is read-only: what is not compiled is compiled at each start."""
        sources = "find /app/libs /app/services -name '*.py' -not -name '__init__.py' | wc -l"
        compiled = "find /app/libs /app/services -name '*.pyc' -not -name '__init__*' | wc -l"
        assert inside(image, sources) == inside(image, compiled)

    def test_nobody_else_may_write_the_code(self, image: str) -> None:
        assert inside(image, "find /app /opt/venv -writable -not -type l | head -3") == ""
