"""`python -m davd`: the commands under one name."""

from davd.cli.main import main

raise SystemExit(main())
