"""What hostile clients do to a server, and what each is answered; `bench.hostile` runs them."""
