"""Loading Qwen2.5-VL and turning conversations into its inputs. Nothing here serves requests."""
