"""The parts of scripts/report: says (sentences), ledger and svg (pictures), charts (what is drawn), page (the HTML)."""
