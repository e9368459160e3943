const place = document.getElementById("docs");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null, // the validator is another host's
});
