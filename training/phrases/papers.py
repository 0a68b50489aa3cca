"""Rules for the questions about printed text, receipts and charts (see `rules`)."""
# ruff: noqa: E501  (a rule is one line)

RULES = {
    "read": """
! (read|transcribe|copy|copy out|type out|type up|write out|write down|extract|recognise|recognize|decipher|reproduce|recite|quote|spell out|digitise|capture|get|decode) (the|all the|all|the whole|the printed|any) text (in the image|on the image|for me|word for word|exactly as printed|)
! (read|transcribe|copy|type out|write down|extract|recite|recognise|quote) (the words|all the words|what is written|what it says|what is printed|the writing|the lettering|everything that is written|the characters|the letters|the inscription|the wording) (in the image|here|there|)
! (read|transcribe|type out|recite) (it|this|that|this image|everything) (out loud|aloud|to me|word by word|out|)
! (do|perform|run|carry out|apply|use) (OCR|text recognition|character recognition|optical character recognition) (on this image|here|)
! (convert|turn|transform) (the|this) image (to|into) text
! (tell me|say|show me) (the words|the text|what is written|what is printed|what is typed) (here|in the image|)
> what (the text|it|this|the sign|the writing|the note|the label|the inscription|the print|the paper|the message|the caption) says
> what (is|has been|was) (written|printed|typed|lettered) (here|there|in the image|on the image|on it|on the sign|on the paper|)
> which (words|text|letters|characters) (is|are|you see|you can read|you recognise) (printed|written|shown|) (here|there|in the image|)
> what you can read (here|in the image|)
> how the text reads
= the (text|writing|wording|inscription|lettering|printed text|message|transcription|exact text|full text|written text|text content|OCR result) (in the image|on the image|shown|)
+ the (words|letters|characters|printed words|written words) (in the image|on the image|)
* (a|the) (transcript|transcription|copy|plain-text version|text version) (of|for) (the|this) (image|text|writing)
What (words|text|letters|writing|characters|message) (do you|can you|do I) (see|read|recognise|find|make out) (here|in the image|)?
What does (the text|it|this|the writing|the label|the note|this paper|the inscription|the board|the page|the image) (say|read|tell us|spell)?
What (is|was|has been) (written|printed|typed|lettered|inscribed) (here|there|on it|in the image|on this|on the sign|on the page|)?
(OCR|Text|Transcript|Transcription|Text please|Words|Read out|Transcribe|Extract text|Read text|Text in image|Wording)(?| please| pls|.|)
(Can|Could) you (read|decipher|make out|transcribe|recognise|type out) (it|this|the text|the words|the writing|what is written|the lettering) (for me|)?
I (can't|cannot|am not able to) read (it|this|the text|the words)(. What does it say?|, what does it say?|. Read it for me.|. Help me.)
I (forgot|lost|left) my glasses(. What does it say?|. Read the text for me.|, read it to me)
I need (the text|the words|this text) (for my notes|as plain text|as a string|in typed form|to copy and paste|in my document)(.|)
(Which|What) words are (there|printed|written|visible|shown) (in the image|)?
How does the text (read|go)?
""",
    "text_color": """
> (what|which) color the (text|writing|lettering|print|font|ink|words) (has|is|is written in|is printed in)
> in (what|which) color the (text|writing|words) is (printed|written|typed|drawn)
! (name|state|identify|tell me|describe) the color of the (text|letters|writing|lettering|print|font|ink)
= the (text|font|letter|ink|writing|print|lettering) color
= the color of the (text|words|letters|writing|lettering|print|font|ink|characters)
What (color|shade) (is|has|do you see in) the (text|writing|lettering|print|font|ink|wording)?
(Which|What) color (are|have) the (letters|words|characters)?
(Which|What) (color|ink) was used for the (text|letters|words|writing|print)?
(In|With) (which|what) (color|ink) is (the text|the writing|it) (written|printed|typed)?
How is the (text|writing|lettering) colored?
(Text color|Font color|Color of the text|Ink color|Letter color|Color of the writing)(?| please|)
""",
    "first_line": """
! (read|transcribe|copy|type out|write down|extract|quote|recite) (the first|the top|the very first|the uppermost|the opening) line (of the text|for me|only|)
> what the (first|top|opening|uppermost) line (says|is|reads)
> what is (written|printed) (in|on) the (first|top|opening) line
= the (first|top|opening|uppermost|initial) line (of the text|of text|)
= the text (of|in|on) (line 1|line one|the first line|the top line)
What (does|would) (line 1|line one|the top line|the opening line|the 1st line|the very first line) say?
What is (written|printed) (in|on) (line 1|line one|the first line|the top line)?
(How does the text start|Line 1|Line one|First line|Top line|1st line|Only the first line|Just the first line)(?| please|)
Which line (is first|comes first|stands at the top|is at the top)?
""",
    "second_line": """
! (read|transcribe|copy|type out|write down|extract|quote|recite) (the second|the 2nd) line (of the text|for me|only|)
> what the (second|2nd) line (says|is|reads)
> what is (written|printed) (in|on) (the second line|line two|line 2)
= the (second|2nd) line (of the text|of text|)
= the text (of|in|on) (line 2|line two|the second line|the 2nd line)
= the line (after|below|beneath|under|underneath) the first one
What (does|would) (line two|the 2nd line|line number 2|line number two) say?
What is (written|printed) (in|on) (line 2|line two|the second line)?
What comes (after|below|beneath|under) the first line?
(Line 2|Line two|Second line|2nd line|Only the second line|Just the second line)(?| please|)
""",
    "last_line": """
! (read|transcribe|copy|type out|write down|extract|quote|recite) the (last|bottom|final|closing|lowest) line (of the text|for me|only|)
> what the (last|bottom|final|closing|lowest) line (says|is|reads)
> what is (written|printed) (in|on) the (last|bottom|final|closing) line
= the (last|bottom|final|closing|lowest|ending) line (of the text|of text|)
What (does|would) (the bottom line|the final line|the closing line|the lowest line|the very last line) say?
What is (written|printed) (in|on) (the bottom line|the final line|the last line)?
(How does the text end|Bottom line|Last line|Final line|Only the last line|Just the last line)(?| please|)
Which line (is last|comes last|stands at the bottom|is at the bottom)?
""",
    "n_lines": """
! (count|tally|add up|number) (the|all|all the) lines (of text|in the text|of writing|you see|)
! (give|state|report|find|determine) the (number|count|amount) of lines (of text|)
> how many (lines|text lines|lines of text|lines of writing|rows of text) (there are|you see|you can count|are printed|the text has|are visible)
= the (number|total number|count|quantity|amount) of (lines|text lines|lines of text|rows of text)
How many (lines|text lines|lines of text|rows of text|lines of writing|rows) (are there|do you see|can you count|does the text have|are printed|are shown|are visible|does it have)?
How many lines (long is|tall is|make up) the text?
(Number|Count|Amount) of (lines|text lines|rows)(?|)
(line count|lines|how many lines|how many rows)(?| please|)
""",
    "first_word": """
! (read|transcribe|copy|type out|write down|extract|quote|recite) the (first|very first|opening|initial) word (of the text|for me|only|)
> what the (first|opening|initial) word (is|says|reads)
> which word (comes first|the text starts with|the text begins with|is at the start)
= the (first|opening|initial|very first) word (of the text|of the line|in the image|)
= the word at the (start|beginning) (of the text|of the line|)
(Which|What) word (is first|is the first|does the text start with|does it begin with|stands at the start|is at the beginning|opens the text)?
With (which|what) word does (it|the text|the line) (start|begin|open)?
(First word|Word 1|Word one|1st word|Opening word|Only the first word|Just the first word)(?| please|)
""",
    "last_word": """
! (read|transcribe|copy|type out|write down|extract|quote|recite) the (last|very last|final|closing) word (of the text|for me|only|)
> what the (last|final|closing) word (is|says|reads)
> which word (comes last|the text ends with|the text closes with|is at the end)
= the (last|final|closing|very last) word (of the text|of the line|in the image|)
= the word at the end (of the text|of the line|)
(Which|What) word (is last|is the last|does the text end with|does it finish with|stands at the end|is at the end|closes the text)?
With (which|what) word does (it|the text|the line) (end|finish|close|stop)?
(Last word|Final word|Closing word|Only the last word|Just the last word|Ending word)(?| please|)
""",
    "n_words": """
! (count|tally|add up) (the|all|all the) words (in the text|in the image|you see|printed here|)
! (give|state|report|find|determine) the (number|count|amount) of words
> how many words (there are|you see|you can count|are printed|the text has|are written|the line has)
= the (number|total number|count|quantity|amount) of (words|printed words|written words) (in the text|in the image|)
How many words (are there|do you see|can you count|does the text have|are printed|are written|are visible|does it have|does it say|does the line contain)?
How many words (long is|make up) (the text|the line|it)?
(Number|Count|Amount) of words(?|)
(word count|words: how many|how many words)(?| please|)
""",
    "has_text": """
? (if|whether) there is (any text|some text|text|anything written|writing|lettering|any writing) (in the image|here|on it|)
? (if|whether) (the|this) image (contains|has|shows|includes) (text|any text|some text|words|writing|letters|any words)
? (if|whether) (something|anything) is (written|printed) (here|in the image|on it|)
? (if|whether) you (see|can see|find) (any text|words|letters|writing)
Is there (any text|some text|any writing|writing|anything written|anything to read|something to read|something written|lettering|an inscription) (here|in the image|in there|on it|)?
(Do|Can) you (see|find|spot|detect|recognise|notice|make out) (any text|some text|any words|words|any writing|letters|any letters|something written) (here|in the image|)?
(Does|Would) (the|this) image (have|show|include|contain) (any text|some text|words|any words|writing|letters|an inscription)?
(Are|Were) there (any words|words|letters|any letters|characters) (here|in the image|on it|)?
Is (anything|something|any text|any word) (written|printed|to be read) (here|in the image|there|)?
(Any text|Any words|Any writing|Text or no text|Text: yes or no|With text or without)(?| here?|)
(Yes or no|True or false): (there is text|the image contains text|there are words)(.|)
""",
    "text_where": """
> where (the text|the writing|the lettering|the line of text|the inscription|the caption) (is|is located|is placed|is printed|is written|stands|can be found|sits)
> in which (part|area|region|half|section) of the image the text (is|is printed|sits)
= the (position|location|place|placement|whereabouts|area) of the (text|writing|lettering|words|inscription)
Where (is|was) the (text|writing|lettering|caption|inscription|print|headline) (located|placed|printed|written|situated|positioned|to be found|)?
Where (are|do you see|can I find|do I find) the (words|letters|text|writing)?
(In|On) (which|what) (part|area|half|region|section) of the image (is|do you see|stands) the (text|writing|lettering)?
Is the (text|writing|lettering) (at the top or at the bottom|above or below the objects|up or down|at the upper or the lower edge)?
(Where's the|Text|Position of the|Location of the) text( position?|?| location?|)
""",
    "total": """
! (give|state|report|find|read|extract|tell me|name) the (total|sum total|total amount|grand total|final amount|amount due|bill total|total price|total sum) (of the receipt|on the bill|)
> how much (the whole bill is|the total is|it all comes to|everything costs|everything costs together|has to be paid|I have to pay|was spent|the customer paid|it adds up to)
> what (the total|the sum|the grand total|the final amount|the bill|the whole purchase) (is|comes to|amounts to)
= the (total|grand total|sum|final amount|amount due|bill total|total cost|total sum|overall price|total bill|final sum|receipt total|amount paid|overall amount|amount to be paid) (of the receipt|on the receipt|on the bill|)
How much (is|was) (it|the bill|everything|the whole purchase|the receipt) (in total|altogether|all together|overall|in all)?
How much (did|do|must|should) (I|we|they) (pay|spend|owe|have to pay) (in total|altogether|overall|)?
What (is|was) the (total cost|grand total|final amount|amount due|bill total|total sum|overall price|total bill|whole price|amount paid|total to pay) (of the receipt|on the bill|)?
What (does|did) (everything|it all|the whole purchase|the receipt|the bill) (cost|come to|add up to|amount to|total)?
(Total|Grand total|Sum|Total amount|Total price|Amount due|Sum total|Bill|In total)(?| please| pls|: how much?|)
Just the total(.| please|)
How (expensive|much) (was|is) (the purchase|the shopping|the bill) (in total|overall|)?
I need the total for my (tax return|expenses|records|accounting|boss)(.|)
""",
    "price": """
! (give|state|report|find|read|extract|tell me|name|look up) the (price|cost|amount) (of|for) (the|) {name} (on the receipt|)
> how much (the {name} (is|cost|costs|was)|was paid for (the|) {name}|I paid for (the|) {name}|was charged for {name})
> what (the {name} (cost|costs|sells for)|the price (of|for) (the|) {name} is|was charged for (the|) {name})
= the (price|cost|amount|charge|price tag|listed price|sum) (of|for) (the|) {name} (on the receipt|)
= the {name} price
How much (is|was) (the|) {name} (on the receipt|here|)?
How much (was|is) (paid|charged|asked|listed) for (the|) {name}?
How much (did|do) (I|we|the customer|they) pay for (the|) {name}?
What did (the|) {name} (cost|sell for|go for)?
What (is|was) the (cost|amount|charge|listed price|price) (for|of) (the|) {name}?
What was (charged|paid|asked) for (the|) {name}?
(Price|Cost|Amount|Charge) (of|for) (the|) {name}(?| please|)
{name}(: how much?|, how much?|: price?|: cost?| cost| price?|: what price?)
How (expensive|dear|pricey|costly) (is|was) the {name}?
""",
    "shop": """
! (give|state|report|find|read|tell me|name|identify) the (name of the (shop|store|merchant|seller|business)|shop name|store name|merchant)
> (which|what) (shop|store|merchant|business|seller) (this receipt is from|it is|is named|is printed on the receipt|issued the receipt|sold this)
> what the (shop|store|merchant|business) is (called|named)
> where (this|the receipt|the bill) (comes from|is from|was issued|was bought)
= the (name of the shop|name of the store|shop name|store name|merchant|seller|name of the merchant|retailer|name of the business|name at the top)
Which (shop|store|merchant|business|retailer|company|place) (is it|is this from|issued the receipt|is the receipt from|sold this|printed this receipt)?
What (is|was) the (store|shop|merchant|business|retailer) (called|name|named)?
What (shop|store|merchant|business) is (this|it|on the receipt|the bill from)?
(From which|At which|In which) (shop|store|place) (is the receipt|was this bought|is the bill|were the items bought)?
Where (were the items|was this|were these things|was it) (bought|purchased|sold)?
(Shop|Store|Merchant|Shop name|Store name|Seller|Retailer)(?| please|)
Who (issued|printed|wrote) the (receipt|bill)?
""",
    "n_items": """
! (count|tally|add up) (the|all|all the) (items|articles|products|goods|purchases|positions) (on the receipt|)
! (give|state|report|find) the (number|count|amount) of (items|articles|products|goods)
> how many (items|articles|products|goods|things|positions|purchases) (there are|are on the receipt|are listed|were bought|were purchased|the receipt has|are on the bill)
= the (number|total number|count|quantity|amount) of (items|articles|products|goods|purchases) (on the receipt|listed|bought|)
How many (items|articles|products|goods|things|positions|purchases) (are there|are on the bill|are listed|were bought|were purchased|does the receipt have|does it list|do you see|did they buy|are printed) (on the receipt|)?
How many (things|items|products) did (I|we|the customer|they) buy?
(Number|Count|Amount) of (items|articles|products|purchases)(?|)
(item count|items: how many|how many items|how many products)(?| please|)
""",
    "dearest": """
! (name|give|find|identify|state) the (most expensive|dearest|priciest|costliest|highest-priced) (item|article|product|thing|purchase) (on the receipt|)
> (which|what) (item|article|product|thing) (is the most expensive|costs the most|cost the most|is the dearest|is the priciest|has the highest price)
> what (is|was) the (most expensive|dearest|priciest|costliest) (item|product|thing)
= the (most expensive|dearest|priciest|costliest|highest-priced) (item|article|product|thing|purchase) (on the receipt|)
= the item with the (highest|biggest|largest|top) price
(Which|What) (item|article|product|thing|purchase) (is|was) (the most expensive|the dearest|the priciest|the costliest|most expensive)?
(Which|What) (item|article|product|thing) (costs|cost) (the most|more than the others)?
(Which|What) (item|product|article) has the (highest|biggest|top|greatest) (price|cost)?
(Most expensive|Dearest|Priciest|Costliest) (item|product|article|thing|)(?| please|)
What (was|is) the (dearest|most costly|priciest) (thing|item|purchase)?
For (which|what) (item|product) was the most (money|) paid?
""",
    "describe_chart": """
! (describe|explain|summarise|summarize|caption|sum up|interpret|analyse|characterise) (the|this) (chart|image|diagram|graphic|figure) (in detail|in words|briefly|for me|for someone who cannot see it|)
! (give|write) (a|a short|a brief|a detailed|a full|a clear) (description|summary|overview|account|rundown) of (the|this) (chart|image|diagram)
! (walk|talk|take) me through (the|this) chart
! (summarise|explain|report) what (the chart shows|is shown|is visible|is plotted|you see)
! put (the|this) chart into words
! (look at|study|examine) (the|this) chart and describe it
> what (the|this) (chart|image|diagram|graphic|figure) (shows|contains|displays|presents|depicts|tells us|says)
> what (is|can be seen|is shown|is displayed|is plotted) in (the|this) (chart|image|diagram)
> what you (see|can see|read) in (the|this) (chart|image)
= the content of (the|this) (chart|image|diagram)
* (a|a short|a brief|a detailed|one) (description|summary|overview|caption) (of|for) (the|this) (chart|image|diagram)
What (does|would) (the|this) (chart|image|diagram|figure|infographic) (show|display|present|depict|tell us|say|contain|illustrate)?
What (is|can be seen|is shown|is depicted|is displayed|is plotted) in (the|this) (chart|image|diagram|figure)?
What (do|can) (you|we|I) (see|learn|find|make out) (here|in the chart|in this diagram|)?
(Description|Summary|Chart description|Describe|Explain|Overview|Caption)(?| please| pls|)
I (can't|cannot) see the chart(. Describe it.|. What does it show?|, what does it show?)
I (am|was) (asked|told|supposed) to (describe|explain|summarise) this chart(. Help me.|. What does it show?|)
""",
    "highest": """
! (name|find|give|identify|state|pick out|report) the (highest|largest|biggest|greatest|tallest|top|maximum|leading) (one|{part}|value|entry|category|figure|number)
> (which|what) (one|{part}|category|label|entry|) (is|ranks) (the highest|the largest|the biggest|the greatest|on top|at the top|the maximum|number one|in the lead|first)
> (which|what) (one|{part}|category|label|entry|) has the (highest|largest|biggest|greatest|top|maximum|best) (value|number|figure|score|amount|result|share)
> who (is|comes) (first|in front|on top|in the lead|ahead of the others)
= the (highest|largest|biggest|greatest|top|maximum|peak|best|leading) (one|{part}|value|entry|category|number|score|result|figure|amount)
= the (maximum|peak|leader|winner|top scorer|best result|record)
= the {part} with the (highest|largest|biggest|greatest|maximum) (value|number|figure|amount)
(Which|What) (one|{part}|category|label|entry|) (is|ranks|comes|stands) (highest|largest|biggest|first|on top|at the top|the greatest|number one|above all the others)?
(Which|What) (one|{part}|category|label|entry|) has (the highest|the largest|the biggest|the greatest|the top|the maximum|the best) (value|number|figure|score|amount|result|share)?
(Which|What) (one|{part}|category|label|entry|) (wins|leads|dominates|scores best|performs best|peaks|beats the others|tops the chart|comes out on top)?
(Who|What) (wins|leads|comes first|is ahead|is the leader|has the most|scores the most|is in the lead)?
Which {part} is (the tallest|bigger than the others|larger than all the others|the greatest|the longest|the top one)?
(Highest|Largest|Biggest|Greatest|Maximum|Max|Top|Best|Peak|Leader|Winner)( value| one| {part}| entry|)(?| please|)
Where (is|do you see) the (maximum|peak|highest value|largest value|biggest number)?
What (is|was) the (max|maximum|peak|best|record|top) (value|result|score|)?
""",
    "lowest": """
! (name|find|give|identify|state|pick out|report) the (lowest|smallest|least|bottom|minimum|tiniest|weakest) (one|{part}|value|entry|category|figure|number)
> (which|what) (one|{part}|category|label|entry|) (is|ranks) (the lowest|the smallest|the least|at the bottom|the minimum|last|the tiniest|lower than the others)
> (which|what) (one|{part}|category|label|entry|) has the (lowest|smallest|least|minimum|worst|tiniest) (value|number|figure|score|amount|result|share)
> who (is|comes) (last|at the bottom|behind the others|at the end)
= the (lowest|smallest|least|minimum|worst|tiniest|weakest) (one|{part}|value|entry|category|number|score|result|figure|amount)
= the (minimum|loser|worst result|low point)
= the {part} with the (lowest|smallest|least|minimum) (value|number|figure|amount)
(Which|What) (one|{part}|category|label|entry|) (is|ranks|comes|stands) (lowest|smallest|last|at the bottom|the least|below all the others)?
(Which|What) (one|{part}|category|label|entry|) has (the lowest|the smallest|the least|the minimum|the worst|the tiniest) (value|number|figure|score|amount|result|share)?
(Which|What) (one|{part}|category|label|entry|) (loses|scores worst|performs worst|trails|is behind the others|comes last)?
(Who|What) (loses|comes last|is behind|trails|has the least|scores the least|is at the bottom)?
Which {part} is (the shortest|smaller than the others|lower than all the others|the least|the tiniest|the bottom one)?
(Lowest|Smallest|Least|Minimum|Min|Bottom|Worst)( value| one| {part}| entry|)(?| please|)
Where (is|do you see) the (minimum|lowest value|smallest value|smallest number|low point)?
What (is|was) the (min|minimum|worst|least|lowest) (value|result|score|)?
""",
    "value": """
! (give|state|report|find|read|read off|tell me|look up|extract|name) the (value|number|figure|amount|reading|score) (of|for|at) {label} (in the chart|)
> what (value|number|figure|amount|score|result) {label} (has|shows|reaches|gets|stands at|is at)
> how (much|many|high|large|big) {label} (is|has|gets|reaches)
> what the (value|number|figure|amount|reading) (of|for|at) {label} is
= the (value|number|figure|amount|reading|score|result|data|count|quantity|level) (of|for|at) {label} (in the chart|)
= {label}'s (value|number|figure|score|result)
What (value|number|figure|amount|score|result|reading) (does {label} (have|show|reach|get)|is (given|shown|listed|printed) for {label}|belongs to {label}|goes with {label}|has {label})?
What (is|was) the (number|figure|amount|reading|score|result|data point|quantity|level) (of|for|at|of) {label}?
How (much|high|large|big|great) (is|was) {label} (in the chart|)?
How (much|many) (does|did) {label} (have|get|reach|score|show|make)?
How many (did|has) {label} (get|got|have|scored|reached)?
(What|How) about {label}?
(Value|Number|Figure|Amount|Score|Result) (of|for|at) {label}(?| please|)
{label}(: value?|: how much?|: how many?|, how much?| value?| =?| = ?|: number?|: what value?| please| figure| number)
(At|For) {label}, what (is|do you read|does the chart show|value is shown)?
(And|So|Then) {label}?
(Where|At what number) does {label} (stand|end|reach)?
What does (the chart|it) (say|show|give|list) (for|about|at) {label}?
""",
    "list_values": """
! (list|give|show|read|read out|report|write down|print|extract|enumerate|output|return|itemise|tabulate|note down) (all|all the|the|every one of the) (values|numbers|figures|data|data points|entries|values with their labels|labels and values|labels with numbers) (in the chart|of the chart|shown|from the chart|one by one|)
! (extract|get|pull|copy|transcribe|digitise|export|read off) the (data|values|numbers|data table|table|figures) (from|of) (the|this) (chart|diagram|image)
! (turn|convert|make) (the|this) chart into (a table|a list|text|data|a text list)
! (read|go through) the (chart|diagram|data) (value by value|from start to end|one by one|)
> what (all the values|the values|the numbers|the figures|all the numbers|the data|the data points) (are|in the chart are)
> (which|what) (values|numbers|figures|data) (there are|the chart shows|the chart has|are shown|are plotted|are given|you read)
+ (all|all the|the) (values|numbers|figures|data points|entries|amounts|readings) (in the chart|of the chart|with their labels|one by one|as a list|)
* (a|the) (data table|list of values|table of values|list of numbers|table of the data|list of all values|value list) (of the chart|from the chart|)
* the (data|raw data|underlying data|chart data|full data|values) (as a list|as text|in text form|behind the chart|of the chart|)
What (are|were) (all|all the|the) (values|numbers|figures|data points|readings|amounts) (in the chart|shown|here|plotted|)?
(Which|What) (values|numbers|figures|data|amounts) (are|do you see|can you read|does the chart have|does the chart give|are plotted|are printed) (in the chart|here|)?
What (data|numbers) (does|did) (the|this) chart (show|contain|have|use|plot)?
(Values|All values|Data|Numbers|All numbers|List values|Data points|Figures|Table|Data please|Raw data)(?| please| pls|)
I (need|want) (the data|all the values|the numbers|the figures) (for my spreadsheet|for a table|as text|in a list|to type them in|for Excel)(.|)
""",
    "chart_type": """
! (name|identify|state|tell me|determine|classify|recognise) the (type|kind|sort) of (chart|diagram|graph)
! (identify|classify|recognise) (this|the) chart (type|)
> (what|which) (type|kind|sort|style|form) of (chart|diagram|graph|plot) (this is|it is|is shown|you see|is used)
> how this (kind|type) of chart is called
= the (type|kind|sort|style|form) of (chart|diagram|graph|plot) (shown|used here|)
= the (chart|diagram|graph|plot) (type|kind|style)
What (type|kind|sort|style|form) of (chart|diagram|graph|plot|graphic|visualisation) (is this|is it|is shown|do you see|is used|is that|was used|am I looking at)?
(Which|What) (type|kind|sort) of (chart|diagram|graph|plot) (is it|is that|do we have|is displayed|is presented)?
(Which|What) (chart|graph|plot|diagram) (type|kind|is this|is it|is shown|is that|style)?
(Chart|Graph|Plot|Diagram) (type|kind|style)(?| please|)
Is (this|it) (a bar chart, a line chart or a pie chart|a pie chart or a line chart|a line chart or a bar chart|a pie, a line or a bar chart|bars, a pie or a line|a column chart, a pie chart or a line chart)?
(Bar|Line|Pie) chart or (another kind|another type|something else)?
How (is|are) the data (drawn|plotted|displayed|visualised|charted)?
What do you call (this|such a) (chart|diagram|graph|plot)?
""",
    "n_parts": """
! (count|tally|add up) (the|all|all the) ({part}s|values|categories|entries|data points) (in the chart|shown|)
! (give|state|report|find) the (number|count|amount) of ({part}s|values|categories|entries|data points)
> how many ({part}s|values|categories|entries|data points|labels) (there are|the chart has|you see|are shown|are plotted|are in the chart|you can count)
= the (number|total number|count|quantity|amount) of ({part}s|values|categories|entries|data points|labels) (in the chart|shown|)
How many ({part}s|categories|values|entries|data points|labels) (are there|does the chart have|are shown|do you see|are plotted|can you count|are in the chart|does it show|are drawn|make up the chart)?
(Number|Count|Amount) of ({part}s|values|categories|entries)(?|)
(how many {part}s|how many values|how many entries|{part} count|{part}s: how many)(?| please|)
Into how many {part}s is (the chart|it) (divided|split)?
""",
    "compare": """
? (if|whether) {label} (is|is really|seems|looks) (larger|higher|bigger|greater|more) than {other}
? (if|whether) {label} (beats|exceeds|tops|outdoes|surpasses|is ahead of|is above|outranks|has more than|is over) {other}
? (if|whether) the value of {label} (is|was) (larger|higher|greater|bigger) than (that of {other}|{other}|the value of {other})
Is {label} (greater|more|taller|ahead of|above|over|bigger|larger|higher) (than|compared with) {other}?
Is {label} (ahead of|above|over|in front of|better than|greater than|more than|bigger than) {other} (in the chart|)?
(Does|Did) {label} (beat|exceed|top|surpass|outdo|outrank|overtake|have more than|score more than|get more than|rank above|win against|reach more than) {other}?
(Does|Did) {label} have a (higher|bigger|greater|larger) (value|number|figure|score|result) than {other}?
Is the (value|number|figure|score|amount|result) (of|for) {label} (larger|greater|higher|bigger|more) than (that of {other}|the one of {other}|that for {other}|for {other})?
{label} (more than|bigger than|higher than|greater than|above|>|over) {other}?
(Yes or no|True or false): {label} (is larger|is higher|is greater|is bigger|is more) than {other}(.|?|)
{label} is (larger|higher|greater|bigger|more) than {other}(, right?|. Correct?|, isn't it?|. Is that true?|, true or false?|, am I right?)
Would you say (that|) {label} is (larger|higher|greater|bigger) than {other}?
Comparing {label} (and|with|to) {other}, is {label} (larger|higher|bigger|greater|ahead)?
Is there more (for|of|in) {label} than (for|of|in) {other}?
""",
    "labels": """
! (name|list|give|enumerate|read|read out|write down|report) (all|all the|the) (labels|categories|names|category names|label names) (in the chart|of the chart|shown|)
> (what|which) (labels|categories|names) (there are|the chart has|are shown|the chart uses|are in the chart|you see)
> what the (labels|categories|names) (are|in the chart are)
+ (all|all the|the) (labels|categories|category names|names of the categories|label names) (in the chart|of the chart|)
* (a|the) list of (labels|categories|all labels|all categories|the category names)
(Which|What) (labels|categories|names|groups) (are there|are shown|does the chart have|do you see|does the chart use|are in the chart|are listed|are compared|are used|appear)?
What (are|were) the (categories|category names|names|groups|labels) (called|in the chart|here|)?
(Labels|Categories|Category names|All labels|All categories|Label names)(?| please|)
""",
    "which_value": """
! (name|find|give|identify|state|pick out) the (one|{part}|category|label|entry) (with|that has|that shows|that reaches) (the value|the number|a value of|) {value}
> (which|what) (one|{part}|category|label|entry|) (has|shows|reaches|equals|is at|stands at|is worth) (the value|the number|a value of|) {value}
> (to|for) (which|what) (one|{part}|category|label|entry) (the value|the number|the figure) {value} (belongs|stands|is given)
= the (one|{part}|category|label|entry) (with|at|of|that has) (the value|a value of|) {value}
(Which|What) (one|{part}|category|label|entry|) (has|shows|reaches|equals|is at|got|stands at|is labelled with|comes to|is worth) (the value|the number|a value of|) {value}?
(To|For) (which|what) (one|{part}|category|label|entry) (does the value|does the number|does the figure|does) {value} (belong|stand)?
Whose (value|number|figure|score|result) is {value}?
(Where|At which label) (do you see|is|can I read|do I find) (the value|the number|) {value}?
{value}(: which {part}?| belongs to what?|: which one?|: which label?| is the value of which one?)
Who (has|got|scored|reached) {value}?
""",
    "title": """
! (read|give|state|tell me|name|report|transcribe|write down|quote) the (title|heading|headline|chart title) (of the chart|)
> what the (title|heading|headline|name|chart title) (of the chart|of the diagram|) (is|says|reads)
> how the chart is (titled|called|named|headed)
= the (title|heading|headline|name|chart title|title text) (of the chart|of the diagram|)
What (is|was) the (heading|headline|chart title|name) (of the chart|of this chart|of the diagram|)?
What is (written|printed) (above|over|at the top of) the chart?
What (title|heading|headline|name) does (the|this) (chart|diagram|graph) (have|carry|bear|show)?
What (does|would) the (title|heading|headline) (say|read)?
What is (the|this) (chart|diagram|graph) (called|named|titled)?
(Title|Heading|Headline|Chart title|Graph title|Title text)(?| please|)
Does (the|this) chart have a (title|heading|headline)(?|, and what is it?|. Which one?)
""",
    "trend": """
! (describe|name|state|give|determine|tell me) the (trend|direction|overall trend|development|tendency) (of the line|of the chart|)
? (if|whether) (it|the line|the value|the curve|the graph) (goes up or down|rises or falls|increases or decreases|climbs or drops|grows or shrinks|is going up or down)
> (which|what) (way|direction) the (line|curve|graph|trend) (goes|runs|points|develops|heads)
> how the (line|value|curve|trend) (develops|changes over time|runs|evolves|goes)
= the (trend|overall trend|direction|tendency|general direction|development) (of the line|of the curve|of the chart|of the values|)
Does (it|the line|the curve|the graph|the trend|the value) (go up or down|rise or fall|climb or drop|increase or decrease|grow or shrink|go up or go down)?
Is (it|the line|the curve|the graph|the trend|the value) (rising or falling|going up or down|increasing or decreasing|climbing or dropping|upward or downward|growing or shrinking)?
(Which|What) (way|direction) (does the line|does the curve|does it|does the trend) (go|run|point|head|take)?
How (does|did) (the line|the value|the curve|it) (develop|change|evolve|run|progress) (from start to end|over time|overall|)?
(Trend|Up or down|Rising or falling|Direction|Overall trend|Increase or decrease|Growth or decline)(?| please|)
What is the (overall|general|main|long-term) (trend|direction|tendency|development)?
""",
}
