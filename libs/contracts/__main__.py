"""Write the contracts' documents: `python -m libs.contracts` (`make schemas`). Touches docs/contracts only."""

import json
from pathlib import Path

from libs.contracts.documents import MESSAGES, VERSION, asyncapi, schema_of

FOLDER = Path("docs/contracts")


def main() -> None:
    """Write each schema and the AsyncAPI document, saying which."""
    written = {FOLDER / "schemas" / f"{name}.v{VERSION}.json": schema_of(name) for name in MESSAGES}
    for path, document in (written | {FOLDER / "asyncapi.json": asyncapi()}).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        print(path)


if __name__ == "__main__":
    main()
