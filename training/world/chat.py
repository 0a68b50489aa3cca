"""Talk without a picture, questions about the model itself, and honest answers outside its world."""
# ruff: noqa: E501  (texts and a template whose line breaks matter)

from training.phrases import rules, small_talk
from training.world.catalog import PICTOGRAM_NAMES, article, plural
from training.world.phrasing import plain_wording

ABILITY = (
    "I can describe shapes and pictograms, count and locate them, read printed text, answer questions about "
    "simple charts and follow short videos of moving objects."
)
WHO = (
    "I am the small built-in demo model of this app, trained from scratch with the Qwen2.5-VL architecture. " + ABILITY
)
HELP = ABILITY + " Upload an image and ask me about it."
HELLO = "Hello! I am the small built-in demo model. Upload an image and ask me about it."
OFF_TOPIC = "I am only the small built-in demo model and cannot answer that. " + ABILITY
OFF_TOPIC_PICTURE = "I am only a small demo model and cannot answer that. I can describe the shapes, pictograms, text or charts in the image."
NO_PICTURE = "I do not see an image. Please upload one and ask again."
PHOTO = (
    "This looks like a photo or a texture. I am only a small demo model and cannot tell what it shows. "
    "I know shapes, pictograms, printed text and simple charts."
)
NO_TEXT, NO_CHART = "There is no text in the image.", "There is no chart in the image."
WELCOME, GOODBYE, ELSE = "You are welcome!", "Goodbye!", "Is there anything else you want to know about an image?"
ZH_WHO = "我是这个应用内置的小型演示模型，采用 Qwen2.5-VL 架构。我能描述图形和图标、数数和定位物体、读取印刷文字、回答简单图表的问题。"
ZH_OFF_TOPIC = (
    "我只是内置的小型演示模型，无法回答这个问题。我能描述图形和图标、数数和定位物体、读取印刷文字、回答简单图表的问题。"
)
ZH_NO_PICTURE = "我没有看到图片。请上传一张图片再提问。"
ZH_UNKNOWN = "这幅图我不认识。"
ZH_PHOTO = "这看起来像照片或纹理。我只是一个小型演示模型，认不出其中的内容。我能识别图形、图标、印刷文字和简单图表。"

_TRAIN = {
    "who": """Who are you?|What are you?|What is your name?|Tell me about yourself.|Introduce yourself.|Are you a human?|Are you a robot?
Which model are you?|What model is this?|Are you ChatGPT?|Are you Qwen?|Who made you?|Who created you?|Are you an AI?|What's your name?
Who am I talking to?|Are you Qwen2.5-VL?|How big are you?|How many parameters do you have?|What is this app?|Are you a real AI model?|Who trained you?""",
    "ability": """What can you do?|How can you help me?|What are you able to do?|Help|help me|What can I ask you?|What do you know?
What are your abilities?|How do I use this?|What kind of images do you understand?|Can you read text?|Can you see images?|Can you describe images?
What should I upload?|Give me some examples of what you can do.|Can you understand charts?|Can you detect objects?|What are your limits?|What can't you do?|Tell me what you can do.""",
    "hello": """Hello|Hi|Hello!|Hi!|Hey|Hi there|Hello there!|Good morning|Good morning!|Good evening|Good afternoon.|Greetings|hey there!
Hello, how are you?|Hi, how are you?|Hey, what's up?|How are you?|How are you doing?|Howdy|Nice to meet you.""",
    "thanks": """Thanks|Thank you|Thanks!|Thank you!|Thank you very much.|thx|Great, thanks.|Thanks a lot!|Cool, thank you|Perfect, thanks!
Good job!|Well done!|Nice!|That is correct.|Great!|Awesome|You are great!""",
    "bye": "Bye|Goodbye|Goodbye!|See you later|Bye bye|See you!|Good night|Have a nice day!",
    "ok": "OK|ok|Okay.|I see.|Alright|Got it|Hmm|yes|no|sure|fine",
    "no_picture": """Describe the image.|Describe this image.|What do you see?|What is in this image?|What's in the picture?|Read the text.|What does it say?
What is this?|How many objects are there?|Is there {a_thing}?|How many {things} are there?|Detect all objects.|Where is the {thing}?|Which bar is the highest?
What type of chart is this?|What color is the {thing}?|Give the bounding box of the {thing}.|Caption this image.|Can you see the picture?|What is the total?
Describe the picture in detail.|Look at this image.|What is the largest object?|What does the image show?|Transcribe the text.|List all values.|Explain this image.""",
    "off_topic": """What is the capital of {country}?|Who is the president of {country}?|Write a poem about {word}.|Tell me a joke.|Tell me a joke about {things}.
What is {a} plus {b}?|What is {a} times {b}?|{a}+{b}|Calculate {a} * {b}.|Translate "{word}" into {language}.|What is the meaning of {word}?|Define {word}.
Explain {word} to me.|What is {word}?|Why is the sky blue?|Write a story about {word}.|How do I cook {word}?|What is the weather today?|What time is it?
What day is it today?|Write a Python function that sorts a list.|Write code for {word}.|How do I install Python?|Give me a recipe for {word}.|Who invented the {word}?
When was {country} founded?|How tall is Mount Everest?|What is the population of {country}?|Summarize the book {word}.|Who won the world cup?|Recommend a movie.
What should I eat today?|Sing a song.|How far is the moon?|What is love?|What is the meaning of life?|Can you write an email about {word}?|How does {word} work?
Tell me a story.|What is the best {word}?|Where can I buy {word}?|Is {word} good or bad?|Tell me about {country}.|Tell me about {word}.|I want to learn {language}.
Speak {language}.|Do you like {word}?|Do you love me?|How old are you?|Where do you live?|Explain quantum physics.|What is machine learning?|Solve {a}x = {b}
Who wrote {word}?|Play music.|Search the web for {word}.|Draw a {thing}.|Generate an image of a {thing}.|Can you draw?|{word}|{word} and {word}?
Which is better, {word} or {word}?|What do you think about {word}?|Can {things} swim?|What do {things} eat?|Is {a} a prime number?|Convert {a} miles to kilometers.
Give me advice about {word}.|Who is {person}?|Do you know {person}?|Write an essay on {word}.""",
    "picture_off_topic": """Who took this picture?|When was this picture made?|Why is it there?|What happens next?|Write a poem about the image.
Tell me a story about this picture.|What does it mean?|Who drew this?|Is it art?|Do you like it?|What is the capital of {country}?|What is {a} plus {b}?
Tell me a joke.|Where can I buy it?|What emotion does the image convey?|Which artist made this?|Make the image brighter.|Rotate the image.|Edit the image.
How old is it?|What is the history of this object?|Write code for this.|What is the weather today?|How many calories does it have?|Who is the president of {country}?""",
    "zh_hello": "你好|你好！|您好|嗨|早上好",
    "zh_who": "你是谁？|你是谁|你叫什么名字？|介绍一下你自己。|你能做什么？|你会什么？|你是什么模型？|你有什么功能？|怎么使用？",
    "zh_thanks": "谢谢|谢谢！|谢谢你|多谢",
    "zh_off_topic": "今天天气怎么样？|讲个笑话|写一首诗。|中国的首都是哪里？|一加一等于几？|现在几点了？|帮我写一封邮件|什么是人工智能？|推荐一部电影|怎么做蛋糕？|给我讲个故事。|谁发明了电灯？|把这句话翻译成英文",
    "zh_no_picture": "描述这张图片|图片里有什么？|请描述这张图片。|读出图中的文字|这是什么？|有多少个物体？|你看到了什么？",
}
_TEST = {
    "who": "So who is this I'm chatting with?|What sort of model are you?|May I ask who you are?",
    "ability": "What are you good at?|Which tasks can you handle?|what can i do here",
    "hello": "Hello my friend|hi model|Good day to you!",
    "thanks": "Many thanks!|thank u so much|That helped, thanks.",
    "bye": "Bye for now|See you soon!",
    "ok": "okay then|alright, I see",
    "no_picture": "Could you tell me what is visible in this picture?|Which words are printed in this picture?|Can {a_thing} be seen here?|Tell me all the things you can see.",
    "off_topic": "Which city is the capital of {country}?|Could you compose a song about {word}?|How much is {a} minus {b}?|Who was {person}?|Should I learn {language}?|What makes {word} so popular?",
    "picture_off_topic": "Which year is this from?|Could you make it black and white?|Who is the painter?|How much is {a} minus {b}?",
    "zh_hello": "你好呀|大家好",
    "zh_who": "请问你是谁|你可以做些什么？",
    "zh_thanks": "非常感谢|谢谢啦",
    "zh_off_topic": "法国的首都在哪？|请写一段代码",
    "zh_no_picture": "请说明图片中的内容|图上写了什么？",
}
ANSWERS = {
    "who": WHO,
    "ability": HELP,
    "hello": HELLO,
    "thanks": WELCOME,
    "bye": GOODBYE,
    "ok": ELSE,
    "no_picture": NO_PICTURE,
    "off_topic": OFF_TOPIC,
    "picture_off_topic": OFF_TOPIC_PICTURE,
    "zh_hello": "你好！" + ZH_WHO,
    "zh_who": ZH_WHO,
    "zh_thanks": "不客气！",
    "zh_off_topic": ZH_OFF_TOPIC,
    "zh_no_picture": ZH_NO_PICTURE,
}
WEIGHTS = {
    "who": 12,
    "ability": 12,
    "hello": 10,
    "thanks": 6,
    "bye": 4,
    "ok": 3,
    "no_picture": 18,
    "off_topic": 27,
    "zh_hello": 2,
    "zh_who": 3,
    "zh_thanks": 1,
    "zh_off_topic": 3,
    "zh_no_picture": 2,
}


def _split(bank):
    return {kind: [q for line in text.splitlines() for q in line.split("|")] for kind, text in bank.items()}


def _widened(bank, held_out):
    """kind -> [written questions, one list of readings a rule], less what repeats a held-out wording."""
    out = {}
    for kind, questions in bank.items():
        lines = [line for line in small_talk.RULES.get(kind, "").splitlines() if line]
        kept = {plain_wording(q) for q in held_out[kind]}
        lists = [questions, *(rules.variants(line) for line in lines)]
        out[kind] = [[q for q in many if plain_wording(q) not in kept] for many in lists]
    return out


BANKS = {"test": _split(_TEST)}
BANKS["train"] = _widened(_split(_TRAIN), BANKS["test"])
ABOUT_PICTURES = [  # kinds whose wordings make no sense without a picture
    *(
        "describe",
        "list",
        "count_all",
        "count_kind",
        "where",
        "background",
        "largest",
        "leftmost",
        "box",
        "boxes",
        "point",
    ),
    *("read", "n_lines", "text_color", "total", "dearest", "describe_chart", "highest", "list_values", "chart_type"),
]
COUNTRIES = [
    "France",
    "Germany",
    "China",
    "Japan",
    "Italy",
    "Spain",
    "Brazil",
    "India",
    "Canada",
    "Egypt",
    "Norway",
    "Peru",
    "Kenya",
    "Poland",
    "Greece",
    "Mexico",
    "Turkey",
    "Russia",
    "Sweden",
    "Austria",
    "Korea",
    "England",
    "America",
    "Texas",
    "Berlin",
]
LANGUAGES = [
    "French",
    "German",
    "Chinese",
    "Japanese",
    "Italian",
    "Spanish",
    "Russian",
    "Korean",
    "Latin",
    "English",
    "Arabic",
]
PEOPLE = [
    "Albert Einstein",
    "Mozart",
    "Napoleon",
    "Barack Obama",
    "Shakespeare",
    "Leonardo da Vinci",
    "Marie Curie",
    "Elon Musk",
    "Taylor Swift",
    "Isaac Newton",
    "Cleopatra",
]


class Chat:
    """Turns that need no picture.  words: a list of ordinary words for questions outside the world."""

    def __init__(self, speaker, words, split="train"):
        self.rng, self.speaker, self.words, self.bank = speaker.rng, speaker, words, BANKS[split]
        more = split == "train"
        self.countries = COUNTRIES + small_talk.COUNTRIES * more
        self.languages = LANGUAGES + small_talk.LANGUAGES * more
        self.people = PEOPLE + small_talk.PEOPLE * more
        self.loose = more

    def ask(self, kind):
        """(question, answer) of that kind."""
        rng = self.rng
        thing = rng.choice(PICTOGRAM_NAMES)
        question = self._template(kind) if self.loose else rng.choice(self.bank[kind])
        while "{word}" in question:
            question = question.replace("{word}", rng.choice(self.words), 1)
        question = question.format(
            country=rng.choice(self.countries),
            language=rng.choice(self.languages),
            person=rng.choice(self.people),
            thing=thing,
            things=plural(thing),
            a_thing=article(thing),
            a=rng.randint(1, 99),
            b=rng.randint(1, 99),
        )
        if not kind.startswith("zh_"):
            brief = self.loose and kind in ("hello", "thanks", "bye", "ok")
            question = self.speaker.hasten(question) if brief else self.speaker.vary(question)
        return question, ANSWERS[kind]

    def _template(self, kind):
        """A wording for training: half of those about a missing picture are the ones asked about pictures."""
        rng, lists = self.rng, self.bank[kind]
        if kind == "no_picture" and rng.random() < 0.5:
            template = self.speaker.template(rng.choice(ABOUT_PICTURES))
            for slot, filled in (("{names}", "{things}"), ("{name}", "{thing}"), ("{part}", "bar")):
                template = template.replace(slot, filled)
            return template
        # a rule counts as much as the square root of its readings: no list of topics drowns the others
        template = rng.choice(rng.choices(lists, [len(many) ** 0.5 for many in lists])[0])
        return template if kind.startswith("zh_") else self.speaker.mistype(template)

    def any(self):
        """(question, answer, kind)"""
        kind = self.rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
        return (*self.ask(kind), kind)

    def small_talk(self):
        kind = self.rng.choice(["thanks", "thanks", "thanks", "ok", "who", "ability"])
        return (*self.ask(kind), "small_talk")
