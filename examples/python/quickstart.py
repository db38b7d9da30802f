"""What most programs need of tako_vm. Start a server first: tako server."""

import tempfile
from dataclasses import dataclass

from tako_vm import InputFile, JobOptions, JobRequest, TakoVM


@dataclass
class Text:
    text: str


@dataclass
class Counted:
    words: int


def count(given: Text) -> Counted:
    return Counted(words=len(given.text.split()))


with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    # Code, and what became of it.
    done = tako.execute("print(6 * 7)")
    print("executed:", done.stdout.strip())

    # A function of one dataclass, run where it sees nothing of this process.
    print("typed:", tako.send(count, Text("one two three")).words)

    # A job in the background: its output as it comes, and the files that it left.
    job = tako.submit_code(
        "text = open('/input/name.txt').read()\nprint('hello', text)\nopen('/output/upper.txt', 'w').write(text.upper())",
        options=JobOptions(files=[InputFile("name.txt", text="tako")]),
    )
    for event in tako.events(job):  # goes on by itself after a lost connection
        if event.type == "stdout":
            print(event.text, end="")
    with tempfile.TemporaryDirectory() as folder:
        for path in tako.save_artifacts(job, folder):  # never outside of folder
            print("file:", path.name, path.read_text())

    # Many at once.
    batch = tako.submit_batch([JobRequest(f"print({n} ** 2)") for n in range(3)])
    tako.wait_batch(batch)
    print("batch:", [record["stdout"].strip() for record in tako.iter_batch_results(batch)])
