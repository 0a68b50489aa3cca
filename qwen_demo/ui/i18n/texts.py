"""What the page says."""

# For the modules in other languages, see `catalogues.py`, which set it anew.
locale = "en"
# Of those for visitors from elsewhere, who are told no options of the server.
visitor = False

TITLE = "Qwen2.5-VL"
CONVERSATION = "Conversation"
QUESTION = "Question"
PLACEHOLDER = "Ask about an image or a clip"
# The box for the question until Gradio's own is there.
EARLY = {"label": QUESTION, "placeholder": PLACEHOLDER}
EMPTY_QUESTION = "Type a question or add an image first."
LOOKING = "Looking at it"
STOPPED = "Stopped. What was written so far stays; Retry starts the answer again."
UNANSWERED = "This question got no answer. Retry asks it again."
LENGTH = "ended at the length limit"
REPETITION = "ended because it ran in a loop"

EMBEDDED_ANSWERS = "The small embedded model answers"
EMBEDDED_ABILITIES = (
    "It knows coloured shapes, pictograms, short printed text and simple charts, in English and Chinese; "
    "it cannot judge photographs."
)
EMBEDDED_REMEDY = (
    "Start this program on a machine with a CUDA GPU for the full model (`--model auto` picks the largest "
    "Qwen2.5-VL-Instruct that fits) or name one with `--model Qwen/Qwen2.5-VL-7B-Instruct`."
)


MODEL_LOADING = "The model is loading"
CONNECTION = {
    "lost": "The server does not answer; trying again",
    "restarted": "The server was started again",
    "reload": "Load the page again",
}
EDITING = {"edit": "Edit", "field": "Changed question", "send": "Ask again", "cancel": "Cancel"}
MODEL_UNAVAILABLE = "The model is not available"
CORRECTIONS = {
    "correct": "Correct this answer",
    "field": "What should have been answered",
    "hint": "Kept with the conversation in this browser. Saved as training data, a model learns it in place of the answer.",
    "keep": "Keep",
    "cancel": "Cancel",
    "corrected": "Corrected",
}


SAID = {
    "answers": "{model} answers",
    "answers_how": "{numbers} on {device} · {context_tokens} tokens of context",
    "first_token": "first token {seconds:.2f} s",
    "prompt": "prompt {tokens} tokens",
    "prompt_with_images": "prompt {tokens} tokens ({image_tokens} image)",
    "opening": "Opening the files, {seconds:.0f} s so far",
    "in_line": "Waiting in line; {ahead} before you, about {eta_s} s",
    "next_in_line": "Waiting in line; next",
    "reading": "{looking}: about {tokens:,} tokens to read, {seconds:.0f} s so far",
    "kept_answer": "{model} · temperature {temperature:g}",
    "one_image_gone": "One of its images is no longer on the server. Attach it again to ask about it.",
    "images_gone": "{count} of its images are no longer on the server. Attach them again to ask about them.",
    "bundle_too_long": "The bundle asks for answers of up to {wanted} tokens; this server gives {longest}.",
    "ask_instead": "Ask {model} instead",
    "given_up": "The change to {model} was cancelled.",
}


def answers(model: str) -> str:
    return SAID["answers"].format(model=model)


def answers_how(numbers: str, device: str, context_tokens: int) -> str:
    return SAID["answers_how"].format(numbers=numbers, device=device, context_tokens=context_tokens)


ABOUT_ROWS = {
    "model": "Model",
    "reason": "Why this one",
    "device": "Device",
    "numbers": "Numbers",
    "attention": "Attention",
    "engine": "Engine",
    "context": "Context",
    "image": "Image size",
}
ABOUT_VALUES = {
    "model": "{model} at {revision}",
    "numbers": "{dtype}, quantisation: {quantization}",
    "context": "{tokens} tokens",
    "image": "{smallest:,} to {largest:,} pixels as the model sees it",
}


def first_token(seconds: float) -> str:
    return SAID["first_token"].format(seconds=seconds)


def prompt_length(tokens: int, image_tokens: int) -> str:
    return SAID["prompt_with_images" if image_tokens else "prompt"].format(tokens=tokens, image_tokens=image_tokens)


def opening(seconds: float) -> str:
    return SAID["opening"].format(seconds=seconds)


def in_line(ahead: int, eta_s: float) -> str:
    return SAID["in_line" if ahead else "next_in_line"].format(ahead=ahead, eta_s=max(1, round(eta_s)))


def reading(tokens: int, seconds: float) -> str:
    said = SAID["reading"].format(looking=LOOKING, tokens=tokens, seconds=seconds)
    return said if seconds >= 1 else LOOKING


# One text, as Gradio translates one in a box: a heading and a line.
WELCOME = (
    "Show me an image and ask\n\nDrop an image, a clip, a PDF or a 3D scan anywhere on this page, or try one of these."
)
MORE_SOURCES = "Image from the web or the camera"
URL = "Address of an image"
ADD_URL = "Add to the question"
CAMERA = "Camera"
ABOUT = "Which model is this?"
TEMPERATURE = "Temperature"
TEMPERATURE_INFO = "0 always takes the likeliest word"
MAX_NEW_TOKENS = "Longest answer, in tokens"
ADVANCED = "Advanced"
TOP_P = "Top-p"
REPETITION_PENALTY = "Repetition penalty"
SEED = "Seed; -1 is a fresh one each time"
PIXEL_BUDGET = "Pixel budget, in tokens an image"
PIXEL_BUDGET_INFO = "0 leaves it to the model; fewer are faster and see less detail"
SYSTEM_PROMPT = "System prompt"

# What the scripts of the views show; {names} are filled in by them.
VIEWER = {
    "title": "What the model sees",
    "empty": "Attach an image to see it here as the model will.",
    "as_seen": "As the model sees it",
    "one_clip": "1 frame of it, {width} × {height} pixels for the model",
    "clip": "{frames} frames of it, each {width} × {height} pixels for the model",
    "one_clip_unknown": "1 frame of it",
    "clip_unknown": "{frames} frames of it",
    "seen_at": "{width} × {height} pixels for the model",
    "original": "{width} × {height} pixels",
    "one_views": "1 view, {width} × {height} pixels for the model",
    "views": "{count} views, each {width} × {height} pixels for the model",
    "turn": "Turn it in the 3D tab",
    "in_space": "Place and size of each, in the data's own unit; its box is drawn into every view.",
    "box": "Draw a box",
    "point": "Put a point",
    "draw_hint": "Drag over the image. With the keyboard: arrow keys move, Shift and arrow keys resize, Escape removes.",
    "canvas": "Image {name}",
    "canvas_drawing": "Draw on {name}: arrow keys move the region, Shift and arrow keys resize it, Enter asks about it.",
    "ask_crop": "Ask about this region",
    "crop_note": "The region is cut out and attached to your question.",
    "crop_only_note": "The region is cut out and asked about alone: this small model reads no coordinates.",
    "ask_coordinates": "Put its coordinates in the question",
    "remove": "Remove",
    "detections": "Where the model points",
    "unnamed": "unnamed",
    "capped": "The first {count} are shown.",
    "outside": "Outside the image or without area: {count} of {found}.",
    "zoom": "Zoom to {label}",
    "whole": "Whole image",
    "export": "Save as",
    "json": "JSON",
    "coco": "COCO",
    "csv": "CSV",
    "png": "PNG",
    "copy": "Copy",
    "copied": "Copied, in pixels of the image itself.",
    "copy_failed": "The browser does not let this page copy. Save it as JSON instead.",
    "own_pixels": "In pixels of the image itself, {width} × {height}.",
    "pick": "These boxes belong to",
    "show": "Show",
    "nth": "Image {number}",
    "look": "Show what this answer was about",
    "earlier": "Of an earlier answer: {question}",
    "newest": "Back to the newest",
}
CONTEXT = {
    "title": "Context of the next question",
    "empty": "No images yet.",
    "show": "Show {name}",
    "send": "Send {name} with the next question",
    "on": "sent",
    "off": "not sent",
    "pending": "new",
    "cached": "cached",
    "cached_why": "Its encoding came from the cache in the last answer",
    "size": "{width} × {height} → {seen_width} × {seen_height}",
    "one_frames": "1 frame",
    "frames": "{frames} frames",
    "one_tokens": "1 token",
    "tokens": "{tokens} tokens",
    "share": "{share} of the context",
    "total": "{tokens} of {context} tokens are images ({share})",
    "time": "about {time} to read them",
    "no_new": "no new tokens",
    "no_time": "time unknown before the first answer with an image",
    "memory": "{size} of memory",
    "reused": "last answer: {reused} of {prompt} prompt tokens from the cache",
    "meter": "Share of the context that images take",
}
WHAT_IS_THIS = "What is this?"
WHAT_IS_THERE = "What is at"
NO_REGION = "The region lies outside the image or has no area. Draw it again."
NOTHING_TO_EXPORT = "There is nothing to save. Ask where something is first."

STAGES = {
    "media": "open files",
    "queue": "queue",
    "resize": "resize",
    "vision": "look (encoder)",
    "prefill": "read (prefill)",
    "first": "first token",
    "decode": "write (decode)",
}
COUNTS = {
    "prompt": "prompt tokens",
    "images": "of images",
    "cached": "cached",
    "encoder_hits": "images cached",
    "tokens": "answer tokens",
    "speed": "tokens/s",
}
TOKENS_PER_SECOND = COUNTS["speed"]

# Tabs of the page, and the panels under them.
TAB_CHAT = "Chat"
TAB_VIDEO = "Video"
TAB_DOCUMENTS = "Documents"
TAB_POINTS = "3D"
TAB_KNOWLEDGE = "Knowledge"
TAB_TASKS = "Tasks"
TAB_CAMERA = "Camera"
TAB_COMPARE = "Compare"
ASK = "Ask"
STOPPED_HERE = "Stopped. What was written so far stays."
STOP = "Stop"

CLIP = "Video"
CLIP_START = "From, in seconds"
CLIP_END = "To, in seconds (0: its end)"
CLIP_FPS = "Frames per second"
CLIP_FRAMES = "At most this many frames (0: what the model can take)"
CLIP_QUESTION = "Question about the video"
CLIP_QUESTION_VALUE = "Describe the video."
NO_CLIP = "Choose or record a video first."
FRAMES = {
    "title": "The frames that the model sees",
    "empty": "Choose or record a video. The frames that the model will see appear here.",
    "frame": "Frame at {time}; show it in the player",
    "one_summary": "1 frame of {duration} s",
    "summary": "{frames} frames of {duration} s, {fps} a second",
    "size": "each {width} × {height} pixels for the model",
    "tokens": "{tokens} tokens, {share} of the context",
}
TIMESTAMPS = {
    "title": "Answer",
    "empty": "The answer appears here. Times that it names lead to that place of the video.",
    "timestamps": "Timestamps in the answer",
    "none": "The answer names no times of this video.",
    "seek": "Show {time} in the player",
    "export": "Save as",
    "srt": "SRT subtitles",
    "vtt": "WebVTT",
    "chapters": "Chapters",
}

DOCUMENT_FILE = "PDF or image of a page"
DOCUMENT_TASK = "What to make of it"
DOCUMENT_PROMPT = "Instruction for the model"
DOCUMENT_READ = "Read page"
NO_DOCUMENT = "Choose a PDF or an image of a page first."
# What a request says for each task; the second is Qwen's own word for its document format.
DOCUMENT_PROMPTS = {"text": "Read the text.", "html": "QwenVL HTML", "markdown": "Convert the page to Markdown."}
DOCUMENT_TASKS = {"text": "Plain text", "html": "QwenVL HTML with regions", "markdown": "Markdown"}
DOCUMENT_EMBEDDED = (
    "The small embedded model reads printed lines as plain text. It was never taught QwenVL HTML, Markdown, tables "
    "or formulas; for these use a full Qwen2.5-VL."
)
FORMULAS = "Formulas"
DOCUMENT_KINDS = {
    "heading": "heading",
    "paragraph": "paragraph",
    "table": "table",
    "list": "list",
    "list item": "list item",
    "formula": "formula",
    "image": "image",
    "code": "code",
    "quote": "quote",
    "header": "header",
    "footer": "footer",
    "line": "line",
}
DOCUMENT = {
    "empty": "Choose a PDF or an image. The page appears here, and beside it what the model reads.",
    "page": "Page {number} of {pages}",
    "go_to": "Go to page",
    "read_all": "Read all pages",
    "one_progress": "{done} of 1 page read",
    "progress": "{done} of {of} pages read",
    "export_all": "Save what was read as (pages: {count})",
    "previous": "Previous page",
    "next": "Next page",
    "image": "Page {number} of {name}",
    "reading": "What the model read",
    "waiting": "Nothing was read off this page yet.",
    "elements": "Elements",
    "region": "Element {number}, {kind}: show it in the document",
    "cut": "There was more than can be shown; the rest was left out.",
    "frame": "The page as the model read it",
    "source": "As written by the model",
    "export": "Save as",
    "markdown": "Markdown",
    "html": "HTML",
    "json": "JSON",
    "no_regions": "The answer names no regions of the page.",
    "kinds": DOCUMENT_KINDS,
}

JSON_SCHEMA = "Answer as JSON by this schema"
JSON_SCHEMA_INFO = "Empty lets the model write freely. The answer can then be nothing but JSON of this shape."
TASK_TITLES = {
    "describe": "Describe an image",
    "read": "Read text",
    "extract": "Extract to JSON by a schema",
    "page": "Read a page",
    "motion": "Watch a clip",
    "find": "Find and box",
    "count": "Count",
    "compare": "Compare two images",
    "chart": "Chart to values",
    "document": "Parse a document",
    "video": "Events of a video",
    "gui": "Find a GUI element",
    "room": "Find things in space",
}
TASKS = {
    "title": "What it can do",
    "intro": "Each fills in an image of ours, a question and the controls. Change what you like, then ask.",
    "unable": "needs the full model",
    "why": "The small embedded model that answers now was not taught this; it will answer, but wrongly.",
    "schema": "with a JSON schema",
    "video": "in the Video tab",
    "documents": "in the Documents tab",
    "points": "in the 3D tab",
    "titles": TASK_TITLES,
}

POINTS_FILE = "Point cloud or 3D model"
POINTS_VIEWS = "What the model sees"
POINTS_MODEL = "To turn it"
POINTS_QUESTION = "Question about the scene"
POINTS_QUESTION_VALUE = "Where is each object? Mark it in every view that shows it, in JSON."
POINTS_ANSWER = "Answer"
POINTS_UP = "Up"
POINTS_UP_AUTO = "found"
POINTS_CUT = "Left out"
POINTS_CUTS = {"none": "nothing", "floor": "the floor", "ceiling": "the ceiling", "both": "floor and ceiling"}
POINTS_COLUMNS = {"label": "thing", "size_a": "width", "size_b": "depth", "size_up": "height"}
POINTS_COUNT = "Views"
POINTS_SIDE = "Pixels of a side"
POINTS_THINGS = "Marked things, in the data's own unit"
POINTS_FILES = "As JSON and CSV"
NO_POINTS = "Choose a point cloud or 3D model first."


POINTS_NOTE = {
    "point": "1 point{rest}. The views cost {tokens:,} tokens.",
    "triangle": "1 triangle{rest}. The views cost {tokens:,} tokens.",
    "points": "{count:,} points{rest}. The views cost {tokens:,} tokens.",
    "triangles": "{count:,} triangles{rest}. The views cost {tokens:,} tokens.",
    "left_out": "; {left_out:,} that were no numbers or lay far off are left out",
}


def points_note(points: int, triangles: int, left_out: int, tokens: int) -> str:
    rest = POINTS_NOTE["left_out"].format(left_out=left_out) if left_out else ""
    count, kind = triangles or points, "triangle" if triangles else "point"
    return POINTS_NOTE[kind if count == 1 else kind + "s"].format(count=count, rest=rest, tokens=tokens)


NO_TASK = "There is no such task."
CAMERA_QUESTION = "Question, asked of every image"
CAMERA_QUESTION_VALUE = "Describe the image."
CAMERA_INTERVAL = "Seconds between images, at least"
CAMERA_VIEW = {
    "start": "Start the camera",
    "stop": "Stop",
    "idle": "The camera is off. Images go to the model only while it runs, and none is kept.",
    "looking": "Looking at the image of {time}",
    "next": "Next image in {seconds} s",
    "hidden": "Stopped, because the page was hidden.",
    "refused": "The camera cannot be used: {reason}",
    "none": "No answer yet.",
    "asked": "Image of {time}",
    "dropped": "An answer took too long and was dropped.",
    "video": "Camera",
    "image": "The image that the answer speaks about",
}

COMPARE_QUESTION = "Images and question for both"
COMPARE_ASK = "Ask both"
COMPARE_ENGINE = "Engine and quantisation"
COMPARE_ONE = "One engine is loaded, so both sides ask the same one."
COMPARE_TWO = (
    "Start the program with `--compare-engine generate` or `--compare-quantization nf4` to compare two engines: it then "
    "loads its model a second time (on a machine of one's own, without ZeroGPU and `--engine remote`)."
)
COMPARE_LOADING = "not ready"
COMPARE = {
    "title": "Both answers",
    "empty": "Ask both: the answers are written here side by side, and what differs and how long each took comes below.",
    "temperature": "temperature {value}",
    "budget": "{value} tokens an image",
    "own_budget": "image size left to the model",
    "max_tokens": "up to {value} tokens",
    "seed": "seed {value}",
    "adapter": "adapter {value}",
    "same": "The answers are the same.",
    "different": "The answers differ.",
    "sooner": "{side} was done first, by {by}.",
    "level": "Both were done at the same time.",
    "quicker": "{side} wrote faster: {fast} against {slow} tokens/s.",
    "difference": "What differs",
    "gone": "only in A",
    "new": "only in B",
    "timings": "Where the time went",
    "shared": "Both ran at the same time on one machine: one may have waited while the other looked, and what one looked "
    "at may have been cached for the other.",
    "stage": "Stage",
    "better": "faster",
    **STAGES,
    "whole": "all of it",
    **COUNTS,
}

KEPT_BROKEN = "This conversation cannot be read: it is damaged or too long."
KEPT_FOREIGN = "This conversation names a file that was not uploaded here, so it is not opened."
IMAGE_GONE = "({name}: no longer on the server)"
SPEAKERS = {"user": "You", "assistant": "Model"}
INTERRUPTED = "This answer is not whole: it was stopped or broke off, or the page was left. Retry asks again."
GO_ON = "Continue"
CONVERSATIONS = {
    "title": "Conversations",
    "intro": "Kept in this browser alone, with their images and clips: up to 200 conversations or 256 MiB, the oldest go first.",
    "none": "Your conversations will be here.",
    "nothing": "No conversation has these words.",
    "blocked": "This browser keeps nothing for this page.",
    "dropped": "There was no room: the oldest conversations were dropped.",
    "search": "Search conversations",
    "open": "Open {name}",
    "current": "open now",
    "rename": "Rename",
    "rename_of": "Rename {name}",
    "name": "Name of the conversation",
    "delete": "Delete",
    "delete_of": "Delete {name}",
    "sure": "Really delete?",
    "sure_of": "Really delete {name}?",
    "export_of": "Save {name} as {kind}",
    "markdown": "Markdown",
    "json": "JSON",
    "html": "HTML",
    "training": "training data",
    "one_messages": "1 message",
    "messages": "{count} messages",
    "full": "This browser has no room left for this conversation.",
    "new": "New chat",
    "today": "Today",
    "yesterday": "Yesterday",
    "before": "Earlier",
    "more_of": "More for {name}",
    "save_as": "Save as {kind}",
    "versions": "Versions",
    "earlier": "Earlier version",
    "later": "Later version",
}


def kept_answer(model: str, temperature: float) -> str:
    return SAID["kept_answer"].format(model=model, temperature=temperature)


def images_gone(count: int) -> str:
    return SAID["one_image_gone" if count == 1 else "images_gone"].format(count=count)


BUNDLE_OPEN = "Open a share bundle and ask again"
NOTHING_TO_COPY = "There is no question to copy. Type one or ask one first."
TOO_LONG_TO_COPY = "The conversation is too long to copy as code."
SCHEMA_NO_JSON = "The JSON schema is no JSON. Correct or empty it first."
SHARE = {
    "title": "Copy and share",
    "intro": "The question on this page as code for programs. Images are read from files of the same names.",
    "make": "Write the code",
    "curl": "curl",
    "openai": "openai (Python)",
    "gradio_client": "gradio_client (Python)",
    "kinds": "Kind of code",
    "copy": "Copy",
    "copied": "Copied",
    "copy_failed": "The browser does not let this page copy. The code is selected: copy it with the keyboard.",
    "bundle": "Save the last answer as a share bundle",
    "bundle_intro": "A bundle holds question, images, parameters and model. Opened, here or elsewhere, it is asked again.",
    "running": "Asking again…",
    "failed": "It was not answered this time.",
    "same": "The same answer.",
    "different": "Another answer.",
    "same_model": "The same model: {model}.",
    "other_model": "Another model: {theirs} then, {ours} now.",
    "other_sizes": "The model sees the images in other sizes than then.",
    "difference": "What differs",
    "gone": "before",
    "new": "now",
}


def bundle_too_long(wanted: int, longest: int) -> str:
    return SAID["bundle_too_long"].format(wanted=wanted, longest=longest)


# Of Gradio's own elements; a name that ends with a space begins others.
ACCESSIBILITY = {
    "enlarge": "Show the image larger",
    "error": "Error",
    "model_pixels": "Places in the image as the model saw it. The panel beside it has those in the image itself.",
    "no_webgl": "This browser cannot turn 3D models (it has no WebGL). The still views show what the model sees.",
    "names": {},
}
EARLIER = {"one_more": "Show 1 earlier question", "more": "Show {count} earlier questions"}
LANGUAGE = {"title": "Language"}
# Cards of an empty chat: a title, and what happens. The same words in both places are the key.
EXAMPLE_TITLES = {
    title: title
    for title in (
        "Point at things",
        "Read a receipt",
        "Read a chart",
        "Compare images",
        "Count",
        "Watch a clip",
    )
}
EXAMPLE_LINES = {
    line: line
    for line in (
        "Boxes are drawn as it answers",
        "What is the total?",
        "Which bar is the highest?",
        "What is the difference?",
        "How many apples are there?",
        "Which way does it move?",
    )
}
# The menu of models; {names} are filled in by the view.
MODEL_MENU = {
    "title": "Model",
    "label": "Model",
    "embedded": "Embedded demo model",
    "answers": "answers now",
    "use": "Use",
    "use_of": "Use {name}",
    "fetch": "Download and use",
    "fetch_of": "Download and use {name}",
    "comes_with": "comes with the program",
    "here": "downloaded",
    "to_fetch": "{size} to download",
    "size_unknown": "download size not known yet",
    "needs": "needs {needed} GiB of memory",
    "needs_more": "needs {needed} GiB of memory, {free} are free",
    "speed": "about {seconds} s to the first word, then {rate} tokens/s",
    "free": "{free} GiB of memory are free.",
    "measuring": "Measuring how quick this machine is…",
    "everybody": "The model changes for everybody who uses this page. The present one answers until the new one is ready.",
    "progress": "How much has come",
    "pause": "Pause",
    "resume": "Go on",
    "cancel": "Cancel",
    "again": "Try again",
    "dismiss": "Close",
    "stages": {
        "downloading": "Downloading {name}",
        "paused": "{name}: download paused",
        "loading": "Loading {name}",
        "draining": "Changing to {name}",
        "failed": "{name} could not be used",
    },
}
# A line about models of the menu.
MODELS_KNOWN_FOR = {
    "embedded": "Shapes, pictograms, short text and simple charts. No photographs.",
    "Qwen/Qwen2.5-VL-3B-Instruct": "Photographs, documents, charts and clips.",
    "Qwen/Qwen2.5-VL-7B-Instruct": "The same, with better answers; slower.",
}


def ask_instead(model: str) -> str:
    return SAID["ask_instead"].format(model=model)


def given_up(model: str) -> str:
    return SAID["given_up"].format(model=model)


# The page's frame.
SETTINGS = "Settings"
SEEN = "What the model sees"
LAYOUT = {
    "rail": "Chats",
    "side": "What the model sees",
    "side-close": "Close the panel",
    "settings": "Settings",
    "settings-close": "Close the settings",
    "theme": "Dark",
}
CHIPS = {
    "temperature": "Temperature {value}",
    "length": "Up to {value} tokens",
    "top_p": "Top-p {value}",
    "penalty": "Repetition penalty {value}",
    "seed": "Seed {value}",
    "system": "System: {value}",
    "schema": "JSON: {value}",
    "adapter": "Adapter {value}",
    "budget": "Images up to {value} tokens",
    "change": "Change it in the settings",
    "reset": "Back to the default: {text}",
    "all": "Reset all",
}
# Low-rank adapters beside the model.
ADAPTER = "Adapter"
NO_ADAPTER = "None: the model alone"
SETTINGS_STAY = "This browser keeps what you set, for new chats too. A JSON schema ends with its chat."
SETTINGS_RESET = "All settings back to the defaults"
DROP = {"drop": "Drop it here to ask about it"}
CAN_BE_WRONG = "Answers can be wrong. Check what matters."
UNSURE = "The model is unsure of this answer."

# Collections of documents.
COLLECTION = "Collection"
COLLECTION_FILES = "Drop PDF, images, text or Office files"
COLLECTION_SEARCH = "Search in this collection"
COLLECTION_FIND = "Search"
NO_COLLECTION = "The model alone"
ASK_WITH = "Answer from"
COLLECTIONS = {
    "empty": (
        "No collections yet. Drop PDF, scans, text or Office files to make one; then search here, or ask in the chat "
        "and get answers that cite the page."
    ),
    "one_reading": "{done} of 1 page read",
    "reading": "{done} of {pages} pages read",
    "one_ready": "1 page",
    "ready": "{pages} pages",
    "failed": "cannot be read",
    "one_stopped": "stopped at {done} of 1 page",
    "stopped": "stopped at {done} of {pages} pages",
    "stop": "Stop reading {name}",
    "go_on": "Go on reading {name}",
    "remove": "Remove {name}",
    "sure": "Remove {name} with all its files?",
    "page": "page {page}",
    "nothing": "Nothing found.",
}
SOURCES = {"heading": "Sources", "page": "page {page}"}
