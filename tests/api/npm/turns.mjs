// Clients from npm hold two turns with an image, a tool and a schema. Prints what each sent, a request a line.
//
//   node turns.mjs http://127.0.0.1:7860/v1 data:image/png;base64,…
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, jsonSchema, Output, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const [url, image] = process.argv.slice(2);
const ASKED = 'Which city is this, and how warm is it there?';
const RESULT = '31 degrees';
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const FUNCTION = { name: 'weather', description: 'Of a city.', parameters: PARAMETERS, strict: true };
const Weather = z.object({ city: z.string(), degrees: z.number() });
const TOLD = { city: 'Rome', degrees: 31 };

const recorded = [];
let talk = '';

async function recording(address, options) {
  const answer = await fetch(address, options);
  const path = new URL(String(address)).pathname;
  recorded.push({ talk, path, sent: JSON.parse(options.body.replaceAll(image, 'IMAGE')) });
  return answer;
}

const client = new OpenAI({ baseURL: url, apiKey: 'unused', maxRetries: 0, fetch: recording });

async function chat(stream) {
  const ask = (more) =>
    stream
      ? client.chat.completions.stream({ ...asked, ...more }).finalChatCompletion()
      : client.chat.completions.parse({ ...asked, ...more });
  const asked = {
    model: 'scripted',
    messages: [{ role: 'user', content: [{ type: 'text', text: ASKED }, { type: 'image_url', image_url: { url: image } }] }],
    tools: [{ type: 'function', function: FUNCTION }],
  };
  const [first] = (await ask()).choices;
  assert.equal(first.finish_reason, 'tool_calls');
  const [call] = first.message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Rome' });
  asked.messages.push(first.message, { role: 'tool', tool_call_id: call.id, content: RESULT });
  const [second] = (await ask({ response_format: zodResponseFormat(Weather, 'weather') })).choices;
  assert.deepEqual(second.message.parsed, TOLD);
}

async function responses(stream) {
  const ask = (more) =>
    stream
      ? client.responses.stream({ ...asked, ...more }).finalResponse()
      : client.responses.parse({ ...asked, ...more });
  const asked = {
    model: 'scripted',
    input: [{ role: 'user', content: [{ type: 'input_text', text: ASKED }, { type: 'input_image', image_url: image, detail: 'auto' }] }],
    tools: [{ type: 'function', ...FUNCTION }],
  };
  const first = await ask();
  const call = first.output.find((item) => item.type === 'function_call');
  assert.deepEqual(JSON.parse(call.arguments), { city: 'Rome' });
  asked.input.push(...first.output, { type: 'function_call_output', call_id: call.call_id, output: RESULT });
  const second = await ask({ text: { format: zodTextFormat(Weather, 'weather') } });
  assert.deepEqual(second.output_parsed, TOLD);
}

async function sdk(model, stream, providerOptions) {
  async function ask(more) {
    const made = { model, messages, tools: { weather }, providerOptions, maxRetries: 0, ...more };
    if (!stream) return generateText(made);
    const result = streamText({ ...made, onError: ({ error }) => assert.fail(error) });
    await result.consumeStream();
    return Object.fromEntries(
      await Promise.all(['text', 'toolCalls', 'finishReason', 'response'].map(async (name) => [name, await result[name]])),
    );
  }
  const weather = tool({ description: FUNCTION.description, inputSchema: jsonSchema(PARAMETERS) });
  const messages = [{ role: 'user', content: [{ type: 'text', text: ASKED }, { type: 'file', data: image, mediaType: 'image' }] }];
  const first = await ask();
  assert.equal(first.finishReason, 'tool-calls');
  const [call] = first.toolCalls;
  assert.deepEqual(call.input, { city: 'Rome' });
  const output = { type: 'text', value: RESULT };
  const told = { type: 'tool-result', toolCallId: call.toolCallId, toolName: 'weather', output };
  messages.push(...first.response.messages, { role: 'tool', content: [told] });
  const second = await ask({ output: Output.object({ schema: Weather }) });
  assert.equal(second.finishReason, 'stop');
  assert.deepEqual(Weather.parse(JSON.parse(second.text)), TOLD);
}

const openai = createOpenAI({ baseURL: url, apiKey: 'unused', fetch: recording });
const settings = { name: 'here', baseURL: url, fetch: recording, supportsStructuredOutputs: true, includeUsage: true };
const compatible = createOpenAICompatible(settings);
const stateless = { openai: { store: false } };
for (const stream of [false, true]) {
  const how = stream ? 'streamed' : 'whole';
  for (const [name, hold] of [
    ['openai, chat completions', () => chat(stream)],
    ['openai, responses', () => responses(stream)],
    ['@ai-sdk/openai, chat completions', () => sdk(openai.chat('scripted'), stream)],
    ['@ai-sdk/openai, responses', () => sdk(openai.responses('scripted'), stream, stateless)],
    ['@ai-sdk/openai-compatible', () => sdk(compatible('scripted'), stream)],
  ]) {
    talk = `${name}, ${how}`;
    await hold();
  }
}
for (const each of recorded) console.log(JSON.stringify(each));
