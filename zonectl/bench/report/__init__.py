"""What a run is shown as. Every module returns text; the command line prints it.

- `document`: JSON, from a run and back; `schema` describes it for others. `csv`: a row a sample.
- `findings`: what may be said of a run, derived by `statistics` once, for all that follow.
- `terminal` with `overview` and `sections`, and `comparison` of two runs: tables of `grid`, for people.
- `html`: one page that needs nothing else, with `panels` of drawings (`strips`, `stack`,
  `plots`) and `listings`; `page.css` is how it looks.
- `figures`, `scale`: how numbers are written, and where on an axis a loss stands.
"""
