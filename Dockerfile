# One image for web, worker and beat. Build: docker build -t changemgmt .
FROM node:22-slim AS assets
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=changemgmt.settings.production
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY --from=assets /app/node_modules node_modules
COPY . .
# Collecting static files needs settings, not secrets: values for this one step alone.
RUN SECRET_KEY=used-only-while-building-this-image-0123456789 DATABASE_URL=postgresql://x@x/x REDIS_URL=redis://x EMAIL_URL=smtp://x \
    BASE_URL=https://x ALLOWED_HOSTS=x python manage.py collectstatic --noinput \
 && useradd --system --no-create-home changemgmt
USER changemgmt
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "8", "--backpressure", "64", "--no-ws", "changemgmt.wsgi:application"]
