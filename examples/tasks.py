"""The tasks demo as an app to run: `firstbyte run examples/tasks.py:app`.

The tasks are kept in the file that TASKS_DB names, or in tasks.sqlite3 beside this one.
"""

import os
from pathlib import Path

from firstbyte.demo.tasks import create_app

app = create_app(os.environ.get("TASKS_DB", Path(__file__).with_name("tasks.sqlite3")))
