"""Wordings of questions about documents, screens, signs and drawings, of training and held out."""

from training.phrases.lists import listed

FIELDS = {  # field -> how people name it, in training
    "total": (
        "the total|the total amount|the total price|the sum|the amount due|the final amount|"
        "the amount to pay|the grand total"
    ),
    "date": "the date|the date on it|the printed date|the date of this document",
    "title": "the title|the heading|the headline|the title text|the big heading|the caption at the top|the header",
    "sender": "the company|the company name|the sender|the name of the company|the business name",
    "shop": "the shop|the store|the name of the shop|the shop's name|the seller",
    "signature": (
        "the signature|the name at the end|the name of the person who signed|the signer|the author of the letter"
    ),
    "number": "the number|the invoice number|the document number|the reference number|the printed number",
    "name": "the name|the person's name|the name on it|the full name|the name of the person",
    "phone number": "the phone number|the telephone number|the phone|the number to call",
    "email": "the email|the email address|the mail address|the e-mail",
    "time": "the time|the printed time|the hour",
    "address": "the address|the street address|the place",
    "first message": "the first message|the message at the top|the first thing that was written",
    "last message": "the last message|the latest message|the message at the bottom|the newest message",
    "file name": "the file name|the name of the file|the open file",
    "function": "the function|the function name|the name of the function|the name that is defined first",
    "first line": "the first line|the top line|the first line of text",
    "last line": "the last line|the bottom line|the last line of text",
    "sign": "the text on the sign|the writing on the sign|what is written on the sign",
    "first command": "the first command",
}
WHOLE = {
    "total": (
        "How much is it?|How much does it cost in total?|How much must be paid?|What does it come to?|"
        "How much do I have to pay?|How much is due?"
    ),
    "date": "When was this written?|When is it from?|From when is this?|Which date does it have?|When was it issued?",
    "title": (
        "What does the heading say?|What is at the top?|What is it called?|What does the title say?|"
        "Which heading does it have?|What's the title of this?"
    ),
    "sender": "Who sent this?|Which company is it from?|Who is it from?|Who issued it?",
    "shop": "Which shop is this from?|Where was this bought?|Which store is it?|What is the shop called?",
    "signature": "Who signed it?|Who signed the letter?|Who wrote this letter?|Which name is at the end?",
    "name": "Who is this?|Whose name is on it?|What name is given?|Who is the chat with?",
    "phone number": "Which number can I call?|What phone number is given?",
    "first message": "What does the first message say?|What was written first?",
    "last message": "What does the last message say?|What was written last?|What is the last text?",
    "function": "Which function is defined?|What is the function called?",
    "file name": "Which file is open?|What is the file called?",
    "sign": (
        "What does the sign say?|What does it say on the sign?|What is written there?|Which words are on the sign?"
    ),
}
FRAMES = listed(
    """
What is {it}?|What's {it}?|Tell me {it}.|Read {it}.|Give me {it}.|Find {it}.|Please read {it}.
Can you read {it}?|Can you tell me {it}?|{it}?|{it}|Show me {it}.|I need {it}.|What is {it} here?
What is {it} in this image?|Look for {it}.|Which one is {it}?|I want to know {it}.|Extract {it}.
What is {it} in the document?|Name {it}.|Please tell me {it}.|Write down {it}.|Do you see {it}?
What is {it} on this page?|Copy {it}.|Return {it}.
"""
)
WHAT = listed(
    """
What is this?|What is it?|What's this?|What kind of image is this?|What kind of document is this?
What am I looking at?|What type of picture is it?|Identify this.|What do you see?|What sort of thing is this?
Tell me what this is.|What is shown here?|What is in the picture?|What is this a picture of?|Name what you see.
What could this be?|What did I send you?|What have I sent?|What have I shown you?
What have I attached here?|Which image did I attach?|What have I given you?
What have I got here?|What sort of image have you got?|Do you know what this is?
Do you recognize this?|Say what this is.|What kind of thing do you see?|What would you call this?|Which kind of file is it?
What type of image is this?|What have you received?|What did I put here?|What have I just added?|What is on this image?
"""
)
DESCRIBE = listed(
    """
Describe the image.|Describe this.|What is in this image?|Describe what you see.|What does the image show?
Describe the picture.|Give a description.|What can you see?|Tell me about this image.|Caption this.
Summarize the image.|What's in the picture?|Explain this image.|What is going on here?
Describe this image in a sentence.|Can you describe it?|Please describe this picture to me.|What does it contain?
Tell me briefly what is in it.|What does this picture hold?
"""
)
READ = listed(
    """
Read the text.|What does it say?|Read it.|What is written here?|Transcribe the text.|Read everything.
What text is in the image?|Extract the text.|Can you read this?|Please read this.|OCR this.
What is written in the image?|Read it to me.|Type out the text.
"""
)
BOX = [
    "Give the bounding box of the {it}.",
    "Where is the {it}? Answer with a box.",
    "Locate the {it}.",
    "Box of the {it}.",
    "Detect the {it} and return its box.",
    "Output the bbox of the {it} as JSON.",
    "Find the {it} and give its coordinates.",
    "Draw a box around the {it}.",
    "Bounding box for the {it}, please.",
]
BOX_IN = [
    "Give the bounding box of the {it} in the {nth} image.",
    "Where is the {it} in the {nth} image? Answer with a box.",
    "Locate the {it} in image {n}.",
    "Box of the {it} in picture {n}.",
    "Detect the {it} in the {nth} picture.",
    "In the {nth} image, output the bbox of the {it} as JSON.",
    "Find the {it} in the {nth} image and give its coordinates.",
]
EACH = [
    "What do the images show?",
    "Describe both images.",
    "What is in the two pictures?",
    "Describe each image.",
    "Tell me what each image is.",
    "What is the first image and what is the second?",
]
JSON = listed(
    """
Answer in JSON with the keys {keys}.|Give {keys} as JSON.|Return a JSON object with {keys}.
Extract {keys} as JSON.|Fill this JSON: {empty}|Answer with JSON like {empty}|JSON with {keys}, please.
Output JSON that matches this schema: {schema}|Answer as JSON by this schema: {schema}
Use this JSON schema: {schema}|{schema} Answer with JSON of this schema.
"""
)

FIELDS_TEST = {
    "total": "the overall amount|the total cost",
    "date": "the day it was made|the date shown",
    "title": "the top heading|the title line",
    "sender": "the firm|the issuing company",
    "shop": "the store's name|the shop given at the top",
    "signature": "the person signing|the name below the greeting",
    "number": "the reference|the number of this invoice",
    "name": "the name shown|whose name it is",
    "phone number": "the telephone|the phone contact",
    "email": "the mail contact|the e-mail address given",
    "time": "the time of day|the time shown",
    "address": "the postal address|the street",
    "first message": "the opening message|the uppermost message",
    "last message": "the final message|the most recent message",
    "file name": "the name of this file|the opened file",
    "function": "the defined function|the first function's name",
    "first line": "the uppermost line|line one",
    "last line": "the lowest line|the final line",
    "sign": "the sign's text|the words on this sign",
    "first command": "the first command|the command at the top",
}
FRAMES_TEST = [
    "Could you give me {it}?",
    "Which is {it}?",
    "Let me know {it}, please.",
    "I'd like {it}.",
    "What does the image give as {it}?",
]
WHAT_TEST = ["Can you say what this is?", "Which kind of picture do we have here?", "What have I uploaded?"]
DESCRIBE_TEST = ["Could you describe this for me?", "In short, what does this image contain?"]
READ_TEST = ["Could you read out the text?", "Which text can you read here?", "Please write out what is printed."]
BOX_TEST = ["I need the box coordinates of the {it}.", "Please mark the {it} with a bounding box."]
BOX_IN_TEST = ["Please box the {it} that is in the {nth} image.", "Coordinates of the {it} within image {n}?"]
EACH_TEST = ["Could you say what each of the images is?", "Explain what both pictures are."]
JSON_TEST = ["Reply with a JSON object holding {keys}.", "Respond with JSON following this schema: {schema}"]
BANKS = {
    "train": {
        "what": WHAT,
        "describe": DESCRIBE,
        "read": READ,
        "box": BOX,
        "box_in": BOX_IN,
        "each": EACH,
        "json": JSON,
    },
    "test": {
        "what": WHAT_TEST,
        "describe": DESCRIBE_TEST,
        "read": READ_TEST,
        "box": BOX_TEST,
        "box_in": BOX_IN_TEST,
        "each": EACH_TEST,
        "json": JSON_TEST,
    },
}


def of(rng, split, kind, **slots):
    """A question of that kind."""
    template = rng.choice(BANKS[split][kind])
    for name, value in slots.items():
        template = template.replace("{" + name + "}", value)
    return template


def about(rng, split, field):
    """A question for a field; fields without wordings of their own are named as they are."""
    if split == "train" and field in WHOLE and rng.random() < 0.4:
        return rng.choice(WHOLE[field].split("|"))
    names = (FIELDS if split == "train" else FIELDS_TEST).get(field, "the " + field)
    frame = rng.choice(FRAMES if split == "train" else FRAMES_TEST)
    asked = frame.replace("{it}", rng.choice(names.split("|")))
    return asked[0].upper() + asked[1:]
