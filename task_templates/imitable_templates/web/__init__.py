"""The annotator's web pages: one Jinja2 template per view (`view.kind` + `.html.j2`); render with autoescape on."""
