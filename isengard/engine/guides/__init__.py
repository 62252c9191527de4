"""What steers a drawing beside its prompt: a control picture (ControlNet), a reference picture (IP-Adapter).

`found` holds the facts and imports no torch; `worn` puts them on."""
