"""From a graph to a TFLite file, by torch and litert-torch. No other part of a back end imports torch."""
