"""The database: tables, transactions, the history of documents, and the background writer."""
