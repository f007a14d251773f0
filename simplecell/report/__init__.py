"""The page that shows what happened: one HTML file that opens offline."""
