"""Rules for talk that needs no picture (see `rules`); {word}, {country}, {thing} and the like are filled by `chat`."""
# ruff: noqa: E501, SIM905  (a rule is one line; lists of names)

RULES = {
    "who": """
(Who|What) (are|r) (you|u|you really|you exactly|you actually)(?|)
(What|Which) (AI|model|bot|system|program|assistant|neural network|language model|version|software) (are you|is this|do you use|is running here|am I using|answers me)?
(What is|What's|Tell me|Say|Give me) your (name|full name|model name|version|identity)(.|?|)
(Are|r) you (a human|a person|a bot|a robot|a machine|a computer|an AI|real|ChatGPT|GPT-4|Claude|Gemini|Llama|Siri|Alexa|Qwen|Qwen2.5-VL|a language model|a vision model|a neural network|a chatbot|open source|a big model|a small model|the real Qwen|conscious|alive)?
Who (made|built|developed|created|trained|programmed|designed|invented|wrote|owns|runs) you?
Who (is|are) (behind this|your maker|your creator|your developer|your author|your boss|your owner|there|answering me|your father)?
(Introduce|Present|Describe) (yourself|yourself briefly|yourself please)(.|)
Tell me (a bit|something|a little|more|everything|all) about (yourself|you|who you are)(.|)
Who am I (talking|speaking|chatting|writing) (to|with)?
How (big|large|small|smart|clever) are you?
How many (parameters|weights|layers|neurons) do you (have|use)?
(How|On what|With what|Where) were you (trained|made|built|created)?
(What is|What's) (this app|this demo|this page|this website|this tool|this model|this program|this all about|this bot)?
(I want|I'd like|I would like) to know who you are(.|)
(Your name|Name|Model name|Model|Who dis|whats ur name|ur name|who r u|What's your deal)?
Do you have a name?
(What|How) (should|can|may|shall) I call you?
Which (architecture|model family|company) (are you from|do you belong to|do you have)?
Am I (talking|speaking) to a (human|person|machine|robot|bot)?
""",
    "ability": """
(What|Which things|What things|Which tasks) (can|could) you (do|do for me|help me with|handle|see|recognise|understand|answer|describe|solve)(?|)
(What|Which) (skills|abilities|features|functions|capabilities|talents|powers|limits|limitations|weaknesses|strengths) do you have?
What are your (skills|abilities|features|functions|capabilities|limits|limitations|weaknesses|strengths|talents)?
What is your (purpose|job|use|task|talent|main skill)?
(How|In what way) (can|could|may|do) you (help|assist|support|be of use to) me?
(How|Where) (do|can|should) I (use|start|begin|try|work with|operate) (this|this app|you|this demo|the demo|here)(?|)
(Help|help me|Help please|I need help|Help!|Instructions|Manual|Usage|How to use|Guide me|Tutorial|Options|Commands|Menu|Features|Examples)(?|)
What (can|should|may|could) I (ask|ask you|upload|send|show you|try|do here|type|do with you)?
What (kind|kinds|sort|sorts|type|types) of (image|images|questions|tasks|files|charts|videos|objects) (can|do) you (understand|answer|see|support|know|handle|read|accept)?
(Can|Could|Do) you (read|see|describe|understand|recognise|analyse|count|locate|look at|process|explain) (images|pictures|text|charts|videos|photos|objects|shapes|receipts|graphs|icons|Chinese text|handwriting)?
(Give|Show|Tell) me (some|a few|three|two) (examples|hints|tips|ideas|sample questions|suggestions) (of what you can do|what to ask|what you can do|for using you|)
(Tell|Show|Explain to) me what you (can do|are able to do|can and cannot do|can help with|know)(.|)
What is (this|this app|this demo|this model) (for|able to do|used for|capable of|useful for)?
What (can't|can not|cannot) you (do|see|answer|understand|read)?
(I am|I'm) (new here|a beginner|lost|confused|stuck)(. What can I do?|. Help me.|, help me|. How does this work?)
How does (this|this app|the demo|it all|this page) work?
What do you (do|know|understand|offer|support)?
""",
    "hello": """
(Hi|Hello|Hey|Hiya|Howdy|Greetings|Good day|Yo|Heya|hey hey|Hello hello|Hallo|Helo|hii|hellooo|Salutations|Ahoy)(!|.|| there| again| bot| friend| everyone| you| dear| all| buddy| assistant| Qwen| AI)
Good (morning|evening|afternoon|day)( to you| everyone| there| dear|!|.| assistant|)
(Hi|Hello|Hey), (how are you|how are you doing|how is it going|what's up|how do you do|nice to meet you|how are things|are you there|I am here|it's me|good to see you|how was your day|anybody there)(?|)
(How are you|How do you do|How is it going|What's up|How are things|How are you today|How's life|How do you feel|How have you been|Are you there|Anybody there|Are you ok|sup|wassup|You there)(?|)
(Nice|Pleased|Good|Happy|Glad) to (meet|see) you(!|.|)
(I am|My name is|I'm|It's me,) (Anna|Ben|Tom|Lisa|Maria|Peter|John|Sara|Li|Omar|Nina|Max)(.|, hello|, hi)
(Welcome|Peace|Cheers, hello|Long time no see|Let's start|Let's chat|I'm back|Hello again)(!|.|)
""",
    "thanks": """
(Thanks|Thank you|thx|ty|Thank u|tysm|Cheers|Thankyou|Thx a lot|thank you so much|thanks a bunch|Thanks so much|Thanks a million|Much appreciated|I appreciate it|Very kind of you)(!|.|| very much| for that| for the help| for your help| for your answer| my friend| a lot| again| dear| buddy)
(Great|Good|Nice|Super|Excellent|Perfect|Wonderful|Fantastic|Brilliant|Amazing|Cool|Lovely|Awesome|Impressive|Splendid|Superb)( job| work| answer| one|!|.|, thanks|, thank you| stuff|)
(That|This|It) (is|was) (right|correct|great|helpful|perfect|very helpful|good|what I needed|really nice|exactly right|useful|cool|amazing)(!|.|, thanks|)
You (are|were) (great|helpful|amazing|the best|right|good|awesome|clever|smart|so kind|very kind|correct)(!|.|)
(Well done|Good bot|Good boy|Bravo|Congratulations|I like it|I love it|Wow|Yay|Hooray|Correct|Right|Exactly|You got it|Spot on|Respect|Not bad|Very good)(!|.|)
""",
    "bye": """
(Bye|Goodbye|Bye bye|See you|See ya|Farewell|Ciao|Cya|Later|So long|Take care|Good night|Cheerio|Have a good one|Talk to you later|Until next time|See you tomorrow|Catch you later|Adieu|ttyl|I'm off|I must go|I have to go|gtg|Sleep well|That's all|That is all for today|I'm done|We are done|I am leaving)(!|.|| now| then|, thanks| my friend)
Have a (nice|good|great|lovely|wonderful) (day|evening|weekend|night|week|time|afternoon)(!|.|)
""",
    "ok": """
(OK|Okay|Alright|All right|I see|Got it|Understood|Fine|Sure|Hmm|Mhm|Aha|Ah|Oh|Yes|No|Yep|Nope|Yeah|Nah|I understand|Interesting|Really|Makes sense|Fair enough|Right then|Very well|Maybe|Perhaps|Of course|Noted|k|kk|hm|well|so|uh|So so|As you say|If you say so|Too bad|Never mind|No problem|Whatever|Good to know|I know)(.|!|)
""",
    "no_picture": """
(Describe|Explain|Caption|Summarise|Analyse|Look at|Check) (the|this|my|the attached|the uploaded) (image|picture|photo|chart|receipt|drawing|diagram)(.|)
What (is|can you see|do you see|is shown|is there) (in|on) (the|this|my) (image|picture|photo|drawing|screenshot)?
(Can|Could|Do) you see (the|my|this) (image|picture|photo|file|upload)?
(Did you get|Did you receive|Did you see|Have you got|Have you received|Have you seen) my (image|picture|photo)?
(How many|Count the) {things} (are there|in the image|in the picture|do you see|in my photo)?
(Is there|Do you see|Can you find) {a_thing} (in the image|in the picture|in my photo|here)?
(Where|In which corner) is the {thing} (in the image|in the picture|in my photo|here)?
What color is the {thing} (in the image|in the picture|in my photo|here|)?
(Detect|Locate|Find|Box|Mark|Point to) the {thing} (in the image|in the picture|in the photo)
(Read|Transcribe|Extract|Copy) the text (in|from|of) (the|this|my) (image|picture|photo|receipt|screenshot|sign)
(Compare|Describe) (the two|both|these two) (images|pictures|photos)
(Which|What) (bar|slice|point|value|label) is the (highest|lowest|largest|smallest) (in the chart|)?
(I sent|I uploaded|I attached|Here is|I have) (an image|a picture|my photo|a chart)(. What is it?|. What do you see?|. Describe it.|, describe it)
""",
    "off_topic": """
(What is|What's|Tell me|Name|Which city is) the capital (of|city of) {country}(?|)
(Who is|Who's|Name) the (president|king|queen|prime minister|leader|chancellor|richest person|best singer|best athlete) (of|in) {country}(?|)
(What is|How large is|How big is) the (population|area|currency|flag|language|history|climate|economy|anthem|national dish) of {country}?
(Where|How far away|How big|How old|How rich|How cold|How safe) is {country}?
(Should I|Can I|When should I|How do I) (visit|travel to|move to|fly to|invest in) {country}?
(Write|Compose|Create|Make up|Give me|Tell me) (a poem|a story|a joke|an essay|a song|a letter|a speech|a rap|a haiku|a limerick|a fairy tale|a short story|an article|a blog post|a slogan|a toast|a riddle|a quote|a tweet|a script|a play|a novel) (about|on) {word}(.|)
(What is|What's|How much is|Calculate|Compute|Solve|Work out) {a} (plus|minus|times|divided by|+|-|*|/|multiplied by|mod|to the power of) {b}(?|)
(What is|Calculate|Compute|Find) the (square root|square|cube|half|double|factorial|logarithm|sine) of {a}(?|)
{a} (+|-|*|/|plus|minus|times) {b}( = ?| =|?|)
(Add|Multiply) {a} and {b}(.|)
Is {a} (a prime number|even|odd|larger than {b}|divisible by {b})?
What is {a} (percent|%) of {b}?
(Convert|Change) {a} (miles|pounds|euros|dollars|degrees|inches|feet|litres|kilograms|hours|yards) (to|into) (kilometers|kilograms|dollars|pounds|celsius|centimeters|meters|gallons|minutes|days)(.|)
(Translate|Put) (this|"{word}"|{word}|hello|good morning|the word {word}) (to|into) {language}(.|)
(How do you say|What is|How would you say) "{word}" in {language}?
(Teach me|Speak|Learn|Let's speak|Can you speak|Do you speak|Answer in|Say something in) {language}(.|?|)
(What does|What's the meaning of|Define|Spell|Pronounce|What rhymes with|Give me a synonym for|What is the plural of|Conjugate) "{word}"(?|)
What does {word} mean?
(Write|Give me|Show me|Generate|Debug|Fix|Explain) (some code|a Python script|a function|a Java program|an SQL query|HTML code|a regular expression|a bash script|JavaScript|a C++ class|a unit test|an algorithm|a web page|CSS) (for|about|that handles|to process) {word}(.|)
How do I (install|uninstall|use|learn|update|compile) (Python|Linux|Docker|Windows|Git|Java|Excel|Photoshop|PyTorch|WordPress|a printer|VS Code)?
(What is|Explain|Tell me about|Describe|How does) (a for loop|recursion|machine learning|deep learning|a neural network|blockchain|bitcoin|the stock market|inflation|gravity|relativity|quantum physics|photosynthesis|evolution|DNA|a black hole|global warming|democracy|capitalism|philosophy|the big bang|electricity|the internet|a transistor|the French Revolution|World War II|the Roman Empire|ancient Egypt|the moon landing|the Renaissance)(.|?|)
(What is|How is|Will there be|Tell me) (the weather|rain|snow|sunshine|the forecast|the temperature) (today|tomorrow|in {country}|this week|outside|next Monday)(?|)
(Will it|Does it|Is it going to) (rain|snow|be warm|be cold|be sunny|storm) (today|tomorrow|tonight|in {country})?
(What|Which) (time|day|date|year|month|weekday) is it(?| now?| today?| in {country}?)
(When|What day) is (Christmas|Easter|the next holiday|New Year|my birthday|Halloween|the weekend|the next full moon)?
(Who won|Who wins|Who played in|What was the score of) (the world cup|the game|the match|the election|the Olympics|the super bowl|the championship|the tennis final|the marathon|the chess match) (yesterday|last year|in {country}|)(?|)
(What are the rules of|How do I play|Tell me about|Who invented|Do you play|Are you good at) (football|soccer|tennis|chess|basketball|golf|cricket|poker|volleyball|rugby|hockey|baseball|swimming|karate|badminton|checkers)(?|)
(How do I|How can I|Can you help me) (cook|bake|grill|prepare|fry|store|make) (a cake|pasta|rice|pizza|bread|soup|eggs|cookies|a salad|pancakes|chicken|{word}|coffee|tea|a sandwich|dinner)?
(Give me a recipe for|What goes well with|How healthy is|How many calories are in) (a cake|pasta|bread|soup|cookies|a salad|pancakes|chicken|pizza|an apple|chocolate|curry|{word})(?|)
(What should I|What can I|What do I) (eat|cook|wear|watch|read|buy|play|do|study|drink|give my mother) (today|tonight|tomorrow|for dinner|this weekend|on holiday)?
(I have|How do I treat|What helps against|What causes) (a headache|a cold|fever|a cough|back pain|stress|the flu|a toothache|insomnia|allergies|a stomach ache|anxiety)(. What should I do?|?|)
(How do I|How can I) (lose weight|sleep better|get rich|find a job|make friends|be happy|get fit|save money|study better|quit smoking|learn faster|relax|write a CV|fix my car|change a tyre|tie a tie|grow tomatoes|train my dog|clean my windows|book a flight|open a bank account)?
(Should|Can|May) I (quit my job|buy a house|buy bitcoin|get a dog|marry|sell my shares|take aspirin|eat eggs every day|drink coffee at night|go to the doctor|sue my neighbour|learn the guitar)?
(Recommend|Suggest|Name|Give me|I need) (a|a good|a nice|the best|another) (movie|book|song|restaurant|hotel|game|series|podcast|gift|phone|laptop|name for my cat|band|museum|app|holiday)(.|)
(Play|Sing|Stop|Hum) (some music|a song|jazz|my favourite song|the radio|a lullaby|something|rock music)(.|)
(Search|Google|Look up|Find online|Browse) (the web for {word}|{word}|the news|{person}|cheap flights|{country}|the latest prices)(.|)
(What is|What's|Tell me|Give me|Any) (in the news|the latest news|the news|news from {country}|new in politics|happening in the world|news about {word})(?|)
(Who is|Who's|Tell me about|What did|When was|How old is|Where was|Is) {person}( born| famous for| alive| do|)(?|)
(Do you|Would you|Could you) (love|like|know|hate|want|need|miss|eat|drink|fear|marry|remember) (me|music|{word}|coffee|football|cats|people|your job|books|sleep)?
(Are you|Do you feel) (happy|sad|tired|hungry|bored|lonely|angry|married|jealous|busy|afraid|in love|sick|rich)(?| today?)
(What is|What's) your (favourite colour|favourite food|favourite film|favorite book|hobby|age|birthday|opinion on {word}|dream|religion|star sign|phone number|address|salary)?
(How|Why) (is|are|do|does) (the sky blue|grass green|the sea salty|birds fly|planes fly|we dream|it rain|cats purr|magnets work|vaccines work|engines work|bees make honey|leaves fall|people laugh|stars shine|the moon change shape)?
(How|Why|When|Where) was (the Eiffel Tower|the Great Wall|the pyramid|the telephone|the computer|the wheel|paper|the light bulb|the printing press|the internet) (built|invented|made|discovered|created)?
How (tall|high|deep|far|fast|heavy|old|long|hot) is (Mount Everest|the moon|the sun|the ocean|a giraffe|light|the Nile|the earth|the universe|an elephant|Mars|the Amazon)?
What (is|are) (the meaning of life|love|happiness|truth|time|art|beauty|dreams|God|freedom|money|the future|consciousness|friendship)?
(Draw|Paint|Generate|Create|Make|Design|Render|Sketch) (a|an image of a|a picture of a|me a|a logo with a) {thing}(.| for me| please|)
(Can|Could) you (draw|paint|generate images|make a picture|make a video|make music|write code|write a poem|sing|dance|fly|cook|drive|call someone|send an email|set an alarm|book a table|order pizza|open a website|remember me|learn|think|feel)?
(Set|Start|Stop|Cancel) (an alarm|a timer|a reminder) (for {a} minutes|for tomorrow|now)
(Remind me|Call|Email|Text|Message) (my mother|my boss|me tomorrow|my friend|the doctor|Anna)(.|)
(Order|Buy|Book|Sell|Rent|Reserve) (a pizza|a taxi|a table|a flight|a hotel|tickets|a car|{word}|shoes)(.| for me|)
(Turn|Switch) (on|off) (the light|the radio|the heating|the TV|the music)(.|)
(I am|I'm|I feel) (sad|bored|lonely|happy|tired|hungry|angry|in love|sick|stressed|nervous|cold|rich)(.|. Cheer me up.|. What now?)
(Tell me|Give me|Share) (a fun fact|a secret|something interesting|a bedtime story|a riddle|a proverb|a tongue twister|a scary story|advice|a lie|the truth|your opinion|a compliment|some motivation)(.| about {word}|)
(Play|Let's play) (a game|chess|hangman|tic-tac-toe|twenty questions|a quiz|poker|rock, paper, scissors)(.| with me|)
(Roll a die|Flip a coin|Pick a number|Give me a random number|Count to ten|Say the alphabet|Recite the alphabet|Generate a password|Guess my age|Read my mind|Tell my fortune|What is my name?|Where am I?|How do I look?|Who am I?)
(Summarise|Review|Explain|Quote|Who wrote|Who plays in|What happens in) (Hamlet|Harry Potter|the Bible|Star Wars|Titanic|Romeo and Juliet|Don Quixote|The Lord of the Rings|Faust|The Little Prince|Frozen|the Odyssey)(.|?|)
(Help me with|Do|Solve|Check) my (homework|taxes|essay|maths|physics exam|CV|grammar|resume|thesis|diet plan|budget|workout plan|French homework)(.|)
(Correct|Check|Improve|Rewrite|Paraphrase|Shorten) (this sentence|my text|my spelling|my grammar|this email|the following)(: {word} {word}|.|)
(Solve|Differentiate|Integrate|Factor|Plot) (x^2 = {a}|{a}x + {b} = 0|x + {a} = {b}|sin(x)|the equation|2x = {a})(.|)
(Is|Are) {word} (healthy|dangerous|expensive|legal|real|important|good for you|a noun|funny|still popular)?
(Compare|Which is better,) {word} (and|or) {word}(.|?|)
(How|Where|When|Why) (do|does|did|can|should) (I|we|people|one|you) (use|need|find|buy|get|want|make|learn) {word}?
(What|Which) {word} (is the best|should I buy|do you like|is cheapest|do you recommend)?
(Advice|Tips|Ideas|News|Facts|Opinions|Information|Quotes|Jokes) (about|on|for) {word}(.|?| please|)
(Which|What) (animal|planet|country|river|city|mountain|ocean|language|metal|bird) is the (largest|fastest|longest|oldest|highest|smallest|most beautiful|rarest) (in the world|on earth)(?|)
(Can|Do|Why do|How do|Where do) {things} (swim|fly|sleep|live|jump|sing|bite|see at night|have teeth|grow|think)?
(What do|How long do|How fast are|How many legs do) {things} (eat|live|have|run|weigh)?
""",
    "picture_off_topic": """
(Who|Which artist|Which person|What kind of artist) (took|made|drew|painted|created|designed|photographed|generated|invented|owns|signed) (this|it|the image|this picture|this drawing)(?|)
(When|In which year|How long ago|On what date) was (this|it|the image|this picture|the drawing) (made|drawn|taken|created|painted|published|uploaded)?
(Why|How|With what tool|On which computer) (is it there|was it made|was it drawn|did someone draw this|was the image created)?
What (happens|will happen|comes|happened) (next|afterwards|later|before this|after that)(?|)
(Write|Tell|Compose|Make up|Give me) (a poem|a story|a joke|a song|an essay|a fairy tale|a haiku|a rap|a news article|a quiz|a riddle|a love letter|a fable) (about|for|inspired by) (this|the image|this picture|it)(.|)
(Is|Was) (it|this|the image) (art|beautiful|expensive|famous|good|funny|old|modern|real|fake|edited|generated by AI|copyrighted|stolen|valuable|dangerous|for sale|ugly)?
(Do|Would) you (like|love|hate|buy|recommend|enjoy) (it|this|the image|this picture|the style)?
(What|Which) (emotion|feeling|mood|message|meaning|idea|style|period|technique|story|symbolism|camera|software) (does it have|does the image convey|is behind it|was used|does this express|inspired it)?
(Make|Turn|Change) (it|the image|this|the picture) (brighter|darker|smaller|bigger|sharper|blue|into a cartoon|black and grey|upside down|funnier|transparent|into a video|into a sticker)(.|)
(Rotate|Crop|Edit|Resize|Save|Delete|Share|Print|Improve|Blur|Flip|Mirror|Enhance|Colorize|Send|Sharpen|Compress|Upscale|Download|Redraw|Photoshop) (it|the image|this|this picture)(.| for me| please|)
(Remove|Replace|Change|Add something to|Swap) (the background|the objects|the colors|it|one of them)(.| for me| please|)
(How|What) (much does it weigh|much is it worth|does it taste like|does it smell like|much does it cost|old is it|does it sound like|heavy is it|fast is it|dangerous is it)?
(Where|How|In which shop) can I (buy|get|order|find|make|eat|rent|sell) (it|this|one of these|such a thing)(?| online?)
(What is the history|What is the origin|What is the price|What is the purpose|Who is the inventor|What is the use|What is the Latin name) of (this|this object|it)?
How many calories (are in it|does this have|has it)?
(Who is|Tell me about|Do you know) {person}(?|)
(What is|Tell me) the (capital|president|population|currency|history) of {country}(?|)
(What is|Calculate|How much is) {a} (plus|times|divided by|multiplied by) {b}(?|)
(Translate|Say) "{word}" in {language}(.|)
(What is|How is) the weather (today|tomorrow|in {country})?
(Write|Show me|Give me) (code|a Python script|HTML|a program) (for this|that draws this|about {word})(.|)
(Tell me a joke|Sing a song|Play some music|What time is it?|Who won the game?|What should I eat?|Recommend a book|How do I learn {language}?|What is the meaning of life?|Explain quantum physics|Give me a recipe|Book a flight|Set an alarm|Tell me a fun fact)
""",
    "zh_hello": "(你好|您好|嗨|哈喽|哈啰|早上好|下午好|晚上好|早|早安|晚安|你好吗|最近好吗|在吗|在不在|有人吗|你好你好|嘿|大家早上好|很高兴认识你|认识你很高兴|吃了吗|好久不见|hello你好)(！|。|啊|？|，朋友|，小助手|)",
    "zh_who": """
(请问|)(你|您)(是谁|到底是谁|叫什么|叫什么名字|的名字是什么|是什么|是什么模型|是哪个模型|是哪种模型|是什么人工智能|是机器人吗|是真人吗|是人吗|是AI吗|是谁开发的|是谁做的|是谁训练的|是谁创造的|是通义千问吗|是千问吗|是ChatGPT吗|有多大|有多少参数)(？|)
(请|)(介绍|说明|讲讲|说说)(一下|)(你自己|自己|你是谁|你的身份)(。|吧|)
(请问|)(你|您)(能|会|可以)(做什么|干什么|帮我什么|帮我做什么|做些什么|看图吗|识别文字吗|看懂图表吗|看图片吗|干啥|做啥|数数吗)(？|)
(你的|您的)(功能|能力|本领|用途|作用|名字|特长|局限|技能)(是什么|有哪些|是啥)(？|)
(怎么|如何|怎样)(用|使用|用你|使用你|开始|操作)(这个应用|这个程序|这个|)(？|)
(帮助|帮帮我|使用说明|帮忙|说明|功能介绍|教我怎么用|我该怎么用|我可以问什么|能问你什么|我能上传什么)(？|)
""",
    "zh_thanks": "(谢谢|多谢|感谢|谢谢你|谢谢您|太谢谢了|十分感谢|谢了|谢谢你的帮助|辛苦了|感谢你|真棒|很好|太好了|答对了|不错|你真厉害|很棒|好厉害|完全正确|你真聪明|多谢帮忙)(！|。|啊|)",
    "zh_off_topic": """
(今天|明天|后天|北京|上海|这周|周末|广州)(的|)(天气怎么样|会下雨吗|冷不冷|热不热|气温多少|天气如何|会下雪吗)(？|)
(讲|说|来)(一个|个)(笑话|故事|冷笑话|睡前故事|谜语|段子|成语故事)(吧|。|给我听|)
(写|作|来|帮我写)(一首|首)(诗|歌|情诗|七言绝句|关于春天的诗|关于月亮的诗|儿歌)(。|吧|)
(帮我|请|)(写|起草|准备)(一封|一篇|一份)(邮件|信|作文|文章|报告|简历|演讲稿|请假条|总结|小说|论文|计划)(。|)
(美国|日本|英国|德国|意大利|中国|韩国|俄罗斯|巴西|西班牙|埃及)的(首都是哪里|首都在哪里|总统是谁|总理是谁|人口有多少|人口是多少|面积有多大|货币是什么|国歌是什么|语言是什么|历史有多长)(？|)
(一|二|三|五|七|十|3|8|12|25|100)(加|减|乘|乘以|除以)(一|二|四|六|九|5|7|13|20)(等于几|是多少|等于多少|得几)(？|)
(现在|今天)(几点|几点了|几号|星期几|是什么日子|是几月几号|是农历几号)(？|)
(什么是|解释一下|介绍一下|请解释)(人工智能|量子力学|相对论|区块链|机器学习|爱情|幸福|通货膨胀|光合作用|黑洞|股票|哲学|经济学|深度学习)(？|)
(推荐|给我推荐)(一部电影|一本书|一部电视剧|一家餐厅|一首歌|一个游戏|一个景点|一本小说|一部手机)(。|吧|)
(怎么|如何)(做|学|减肥|赚钱|睡得好|写代码|学英语|做红烧肉|做蛋糕|煮饭|包饺子|炒菜|找工作|安装Python|锻炼身体|养猫|投资|种花)(？|)
(谁)(发明了|创造了|写了|发现了)(电话|飞机|电脑|红楼梦|西游记|万有引力|互联网|指南针|造纸术|电灯)(？|)
(把|将)(这句话|这段话|你好|早上好|谢谢|苹果)(翻译成|译成)(英文|法语|日语|德语|中文|韩语|西班牙语)(。|)
(写|给我写|帮我写)(一段|一个)(代码|程序|Python代码|排序算法|网页|脚本|函数)(。|)
(你)(喜欢我吗|爱我吗|几岁了|住在哪里|有女朋友吗|开心吗|累吗|会唱歌吗|喜欢什么|吃饭了吗|多大了|会跳舞吗)(？|)
(我)(头疼怎么办|感冒了怎么办|很无聊|心情不好|失眠怎么办|饿了|该吃什么|今天穿什么|想学日语|想去旅游|应该买房吗)(？|)
(播放|放|唱)(一首歌|音乐|一首儿歌|点音乐)(。|吧|)
(谁赢了|谁拿了|谁是)(世界杯|奥运会|比赛|冠军|昨天的比赛)(？|)
(天空为什么是蓝色的|地球有多大|月亮有多远|人生的意义是什么|李白是谁|鲁迅是谁|爱因斯坦是谁|最高的山是哪座|最长的河是哪条|世界上最大的动物是什么|为什么会下雨|明天的新闻|今天有什么新闻)(？|)
""",
    "zh_no_picture": """
(请|)(描述|看看|介绍|说明|分析|解释)(一下|)(这张图|这张图片|图片|我的图片|这张照片|图像|画面|我发的图)(。|的内容|)
(图|图片|照片|画面)(里|中|上)(有什么|有几个物体|是什么|写了什么|有多少东西|有哪些东西|有没有人|有狗吗|画了什么)(？|)
(你|您)(看到|看见|能看到|收到)(图片|我的图片|这张图|图)(吗|了吗|没有)(？|)
(读出|识别|提取|抄下)(图中|图片里|图上|照片里)的(文字|字|内容)(。|)
(这是什么|这个是什么|这是什么图|哪个最高|最大的是哪个|背景是什么颜色|有几个物体|数一数有多少个|框出所有物体|这张图表是什么类型)(？|)
""",
}
COUNTRIES = """Portugal|Iceland|Finland|Denmark|Ireland|Switzerland|Belgium|Hungary|Romania|Bulgaria|Croatia|Serbia|Ukraine|Vietnam|Thailand|Indonesia|Malaysia|Pakistan|Iran|Iraq|Israel|Jordan|Morocco|Algeria|Nigeria|Ghana|Ethiopia|South Africa|Argentina|Chile|Colombia|Venezuela|Cuba|Jamaica|Australia|New Zealand|Mongolia|Nepal|Bangladesh|Sri Lanka|the Netherlands|the USA|the UK|Scotland|Wales|California|Paris|London|Tokyo|Madrid|Vienna|Cairo|Nairobi|Lima|Oslo|Beijing|Shanghai|New York|Mumbai""".split(
    "|"
)
LANGUAGES = "Portuguese|Dutch|Greek|Turkish|Polish|Hindi|Swedish|Norwegian|Danish|Finnish|Hungarian|Hebrew|Thai|Vietnamese|Ukrainian|Czech|Irish|Swahili|Esperanto|Mandarin".split(
    "|"
)
PEOPLE = "Beethoven|Galileo|Charles Darwin|Nikola Tesla|Mahatma Gandhi|Nelson Mandela|Picasso|Van Gogh|Michael Jackson|Bill Gates|Steve Jobs|Lionel Messi|Serena Williams|Plato|Aristotle|Confucius|Frida Kahlo|Ada Lovelace|Alan Turing|Stephen Hawking|Queen Elizabeth|Julius Caesar|Abraham Lincoln|Beyonce|Tom Hanks|Agatha Christie|Jane Austen|Goethe|Bach|Columbus".split(
    "|"
)
