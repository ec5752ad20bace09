"""The network as the compiler holds it: its graph, and the engine that runs it in float32."""
