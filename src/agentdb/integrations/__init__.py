"""What connects agentdb with other libraries, each module behind the extra of its name."""
