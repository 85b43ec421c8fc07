"""How alembic runs our migrations: on the connection that the store hands it, inside one transaction."""

from alembic import context

from imitable.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
