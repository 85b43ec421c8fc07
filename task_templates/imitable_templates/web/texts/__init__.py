"""The catalogues: every word an annotator reads, one file a language. `imitable_templates.texts` reads them."""
