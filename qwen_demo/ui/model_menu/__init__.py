"""The header's menu of models, and the button that asks another one."""
