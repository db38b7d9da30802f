raise SystemExit(7.5)
