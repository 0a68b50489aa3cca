"""What the page says."""

TITLE = "Qwen2.5-VL"
PLACEHOLDER = "Ask about a picture or a video. Drop, paste or attach it here."
EMPTY_QUESTION = "Type a question or add a picture first."
LOOKING = "Looking at it"
STOPPED = "Stopped. What was written so far stays; Retry starts the answer again."
LENGTH = "ended at the length limit"
REPETITION = "ended because it ran in a loop"

EMBEDDED_ANSWERS = "The small embedded model answers"
EMBEDDED_ABILITIES = (
    "It knows coloured shapes, pictograms, short printed text and simple charts, in English and Chinese; "
    "it cannot judge photographs."
)
EMBEDDED_REMEDY = (
    "For the full model, start this program on a machine with a CUDA GPU (`--model auto` picks the largest "
    "Qwen2.5-VL-Instruct that fits) or name one: `--model Qwen/Qwen2.5-VL-7B-Instruct`."
)


def waiting(ahead: int) -> str:
    return f"Waiting in line; {ahead} before you" if ahead > 0 else LOOKING


WELCOME = "Show me a picture and ask"
MORE_SOURCES = "Picture from the web or the camera"
URL = "Address of a picture"
ADD_URL = "Add to the question"
URL_REFUSED = "The address was not accepted"
CAMERA = "Camera"
ABOUT = "Which model is this?"
TEMPERATURE = "Temperature"
TEMPERATURE_INFO = "0 always takes the likeliest word"
MAX_NEW_TOKENS = "Longest answer, in tokens"
ADVANCED = "Advanced"
TOP_P = "Top-p"
REPETITION_PENALTY = "Repetition penalty"
SEED = "Seed"
SEED_PLACEHOLDER = "a fresh one each time"
PIXEL_BUDGET = "Pixel budget, in tokens a picture"
PIXEL_BUDGET_INFO = "0 leaves it to the model; fewer are faster and see less detail"
SYSTEM_PROMPT = "System prompt"
BOXES = "Where the model points"
