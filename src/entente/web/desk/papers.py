"""Papers of a release: its decision with the receipt, and the certificate of its end, as signed JSON and as PDF."""

from entente.errors import UsageError
from entente.node import papers
from entente.web.page import said
from entente.web.pdf import pdf
from entente.web.screen import File, download
from entente.web.visit import Visit


def _paper(visit: Visit, kind: str) -> tuple[str, bytes]:
    """The name of the file and the signed JSON of the release that the address names."""
    rid = visit.params["rid"]
    for side in visit.node.pair.sides.values():
        fact = side.release(rid)
        if fact is not None and visit.sees(side, fact):
            visit.mark(visit.release_marking(side, fact), side.party)
            try:
                made = papers.decision(visit.node, rid) if kind == "decision" else papers.destruction(visit.node, rid)
            except UsageError:
                break
            return f"{kind}-{rid[:16]}", made
    raise visit.missing()


def _as_json(visit: Visit, kind: str) -> File:
    name, paper = _paper(visit, kind)
    return File(paper, f"{name}.json", "application/json")


def _as_pdf(visit: Visit, kind: str) -> File:
    name, paper = _paper(visit, kind)
    law = visit.node.laws[papers.read(paper).agreement]
    return File(lambda: pdf(paper, law), f"{name}.pdf", "application/pdf")


@download("/release/{rid}/decision.json", said("Decision and receipt, signed"))
def decision_json(visit: Visit) -> File:
    """Why it may cross, who approved, and what the partner answered."""
    return _as_json(visit, "decision")


@download("/release/{rid}/decision.pdf", said("Decision and receipt, to print"))
def decision_pdf(visit: Visit) -> File:
    """The same as a PDF, with the JSON in it."""
    return _as_pdf(visit, "decision")


@download("/release/{rid}/destruction.json", said("Certificate of destruction, signed"))
def destruction_json(visit: Visit) -> File:
    """That it was destroyed or given back, by whose order and before which witnesses."""
    return _as_json(visit, "destruction")


@download("/release/{rid}/destruction.pdf", said("Certificate of destruction, to print"))
def destruction_pdf(visit: Visit) -> File:
    """The same as a PDF, with the JSON in it."""
    return _as_pdf(visit, "destruction")


PAPERS = (decision_json, decision_pdf, destruction_json, destruction_pdf)
