"""Training: data and recipes for readers; a consumer of the line from document to pages."""
