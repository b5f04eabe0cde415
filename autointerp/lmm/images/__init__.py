"""Pictures that a model makes of words: asked for through the gateway, kept by their content, paid for one by one."""
