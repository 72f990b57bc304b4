"""The lines of docs/completion.md, each for another shell, make it complete; zsh and fish are bash in their place."""

from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.reader import Reader

SHELLS = r"""
answers() {  # as the script of that shell asks: what begins with "sc"
    [[ $2 == *_REC_EXPORT_COMPLETE=$1_complete* ]]
    env COMP_WORDS="rec-export sc" COMP_CWORD=$3 _REC_EXPORT_COMPLETE=$1_complete rec-export | grep -w score
    echo "$1 completes"
}
eval() {
    if [[ $1 == '#compdef rec-export'* ]]; then
        answers zsh "$1" 1
    else
        builtin eval "$1"
        complete -p rec-export
        COMP_WORDS=(rec-export sc) COMP_CWORD=1
        _rec_export_completion rec-export
        [[ " ${COMPREPLY[*]} " == *" score "* ]]
        echo "bash completes"
    fi
}
source() { answers fish "$(cat)" sc; }
set -o pipefail
"""


def test_three_shells_complete_after_their_line(tmp_path: Path) -> None:
    reader = Reader(tmp_path, tmp_path / "machine", {})
    (block,) = blocks("docs/completion.md")
    said = reader.bash(SHELLS + block.text).splitlines()
    assert [line for line in said if line.endswith("completes")] == [
        "bash completes",
        "zsh completes",
        "fish completes",
    ]
