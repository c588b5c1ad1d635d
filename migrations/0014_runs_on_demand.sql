-- Runs on demand are counted apart from the others, at each scrape of the metrics.
CREATE INDEX runs_on_demand ON runs (status) WHERE trigger = 'on_demand';
