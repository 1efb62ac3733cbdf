"""What a run left behind, read in one place and drawn: used by scripts/plot, scripts/report and data/article.ipynb."""
