"""Words that may stand for one another in any question about a picture, so that rare words are met in every kind.

Only words whose exchange leaves the answer as it is: "item" for "object" but not "shape" for "object".
Keys and values are in lower case; a placeholder such as {name} is never touched.
"""
# ruff: noqa: E501  (lists of words)

WORDS = """
image: picture picture picture pic photo photo drawing illustration graphic screenshot figure img photograph snapshot artwork sketch scan
images: pictures pictures pics photos drawings illustrations graphics photographs files snapshots screenshots
picture: image image pic photo drawing illustration graphic photograph
pictures: images images pics photos drawings
photo: image picture photograph pic snapshot shot
video: clip clip movie recording film footage sequence animation
chart: graph diagram plot graphic figure
diagram: chart graph plot figure
object: thing item element entity article
objects: things items elements entities articles stuff contents
thing: object item element
things: objects items elements
items: objects things articles
describe: characterise portray
bounding: enclosing surrounding
locate: localise find detect pinpoint
detect: locate find spot
explain: clarify
summarise: recap summarize condense outline
summarize: recap summarise condense
text: wording writing lettering script print
transcribe: copy type write note
written: printed typed
largest: biggest largest hugest greatest
biggest: largest greatest
smallest: tiniest littlest minutest
located: situated placed positioned found
situated: located placed positioned
position: location place spot whereabouts placement
location: position place spot whereabouts
part: area region section zone bit
area: region part section zone
region: area part zone section
shown: displayed depicted presented visible pictured
depicted: shown displayed portrayed illustrated
visible: shown present displayed discernible
contain: include hold show have comprise
contains: includes holds shows has comprises
include: contain show have
shows: displays depicts presents contains
see: notice observe spot perceive recognise
recognise: recognize identify make-out
recognize: recognise identify
identify: name recognise determine
quantity: number count amount
expensive: costly pricey dear
bought: purchased acquired
receipt: bill invoice slip sales-slip till-receipt
shop: store market business
store: shop business outlet
price: cost
value: number figure amount
values: numbers figures amounts
category: group entry class
categories: groups entries classes
title: heading headline caption
labels: names tags captions
direction: way course heading
move: travel go shift
moves: travels goes shifts
moving: travelling going shifting
happens: occurs goes-on takes-place
happening: occurring going-on taking-place
different: unlike distinct dissimilar
difference: distinction contrast
identical: equal alike
background: backdrop ground
exactly: precisely specifically
precisely: exactly accurately
roughly: approximately about
please: pls plz
quick: fast short brief
short: brief concise compact
give: provide hand
provide: give supply furnish
return: output give provide
output: return print give produce
determine: establish ascertain work-out find-out
check: verify test
verify: check confirm
want: need
need: require need want
wonder: ask-myself wonder
correct: right true accurate
really: truly actually indeed
furthest: farthest
farthest: furthest
beneath: below underneath under
underneath: beneath below under
edge: border margin rim side
border: edge margin rim
closest: nearest
nearest: closest
topmost: uppermost highest
uppermost: topmost highest
bottommost: lowermost lowest
lowermost: bottommost lowest
rectangle: box frame
coordinates: coords coordinates positions
increase: rise grow climb
decrease: fall drop decline sink
kind: type sort variety
sort: kind type
words: words terms
everything: everything all
entire: whole complete full
whole: entire complete
currently: now presently
beginning: start opening
difference?: distinction? contrast?
bigger: larger greater
larger: bigger greater
smaller: tinier littler
count: tally
calculate: compute work-out
compute: calculate determine
altogether: overall in-total all-in-all
drawn: painted sketched drawn
painted: coloured tinted drawn
color: shade hue colour colouring
called: named termed
carefully: closely attentively thoroughly
briefly: shortly concisely in-short
helpful: useful
anywhere: somewhere at-all
noticeable: visible
"""
SYNONYMS = {
    key: [other.replace("-", " ") for other in others.split()]
    for key, _, others in (line.partition(": ") for line in WORDS.strip().splitlines())
}
PHRASES = {
    "there are": ["you can see", "we have here", "there exist"],
    "do you see": ["do you notice", "can you see", "do you spot", "do you perceive"],
    "can you tell me": ["are you able to tell me", "would you tell me", "could you tell me", "do you mind telling me"],
    "tell me": ["let me know", "inform me"],
    "i want to know": ["i'd love to know", "i need to find out", "i wish to know", "i want to find out"],
    "what is": ["what's", "whats"],
    "where is": ["where's", "wheres"],
}
OPENERS = """Hey, |Hi! |Question: |OK, |And |So |Well, |Now |Quick question: |Just |Hi, |um |ok so |Next, |Also, |One more: |Sorry, |hey there, |Here: 
Excuse me, |I have a question. |Dear model, |Assistant, |Hmm, |Alright, |Right, |Actually, |btw, |By the way, |Good morning. |Q: |Task: |Another question: |I forgot to ask: 
Let's see: |Look: |Take a look: |Please help. |Help me out: |For my kid: |For my homework: |My daughter asks: |My son asks: |A friend asks: |Without my glasses: |I can't see well. 
In short: |In your own words: |Be honest: |Be precise: |Think carefully. |Tell me honestly: |Yo, |Hello! |Good evening, |Good afternoon. |Pardon me, |Oh, |Then |First of all, |Finally, 
One last thing: |As a test: |Exam question: |Quiz: |Let me ask: |May I ask: |Can I ask something? |Just wondering: |Just curious: |I'm curious: |If you can, |If possible, |User: 
As far as you can see, |From what you see, |Judging by what you see, |Look closely. |Look carefully: |Back to my question: |Again: |Once more: |Simple question: |Easy one: |Hard one: 
Could you help me? |Need help: |Urgent: |For a report: |For work: |For school: |Say, |Listen, |Good day, |Dear assistant, |Hello there, |Thanks. |Great. |Nice. |Perfect. |Wonderful. |Okay, """
CLOSERS = """ Answer briefly.| Keep it short.| Thanks!| please| here| for me| now| exactly| then| thank you| Thank you!| thx| Thanks in advance.| pls| plz| asap| if you can| if possible
 Any idea?| Do you know?| I can't tell.| I'm curious.| I am not sure.| Be precise.| Be exact.| Be accurate.| Be careful.| Be brief.| No explanation needed.| Cheers!| Many greetings.| Just answer.
 Look closely.| Take your time.| Think first.| Help me out.| It's for my homework.| It's for my kid.| It is for a test.| I forgot my glasses.| I can't see it well.| I need it for work.| Be quick.| exactly?
 Much appreciated.| That would help.| Only the answer.| Nothing else.| Simple words, please.| right now| quickly| again| after all| by the way| my friend| buddy| mate| sir| dear| ok?| can you?| would you?"""
OPENERS, CLOSERS = ([part for line in text.split("\n") for part in line.split("|")] for text in (OPENERS, CLOSERS))
