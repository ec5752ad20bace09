"""From a graph to a TFLite file, through torch and litert-torch; the only part of a back end that imports torch."""
