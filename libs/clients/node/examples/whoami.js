// Reads the cookie of a request and answers with the user. node whoami.js [host:port of a session replica]...
'use strict';

const http = require('node:http');

const { Sesior } = require('sesior');

const sesior = new Sesior({ addresses: process.argv.slice(2), token: process.env.SESIOR_TOKEN });

const server = http.createServer(async (request, response) => {
  try {
    const { verdict, session, setCookie } = await sesior.resolveCookie(request.headers.cookie, { touch: true });
    if (setCookie) response.setHeader('Set-Cookie', setCookie);
    response.end(verdict === 'valid' ? `You are ${session.data.userName ?? 'a visitor'}.\n` : 'I do not know you.\n');
  } catch (error) {
    // The service is away: that never means "logged out".
    response.writeHead(error.code === 'UNAVAILABLE' ? 503 : 500, { 'Retry-After': '1' }).end();
  }
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
