"""The WSGI entry point: `gunicorn wsgi:app`, with the room's settings in the environment."""

from cleanroom.app import create_app

app = create_app()
