const place = document.getElementById("docs");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  tryItOutEnabled: true,
  showCommonExtensions: true, // minimum, maxLength and the like beside each parameter
  validatorUrl: null, // the validator is another host's
});
